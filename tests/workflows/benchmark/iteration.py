with open(snakemake.output[0], "a") as file:
    print("once more", snakemake.bench_iteration, file=file)
