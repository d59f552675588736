write(snakemake.output[1], snakemake.params["word"] * "\n")
