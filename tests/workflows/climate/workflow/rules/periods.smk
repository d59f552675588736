rule simulate:
    output:
        series="resources/series.csv",
        index="resources/index.csv",
    params:
        script=awk("simulate.awk"),
        grid=config["grid"],
    log:
        "logs/simulate.log",
    benchmark:
        "benchmarks/simulate.tsv"
    shell:
        "awk -f {params.script} -v rows={params.grid[rows]} -v columns={params.grid[columns]}"
        " -v months={params.grid[months]} -v index_file={output.index} > {output.series} 2> {log}"


# A new period begins where the sign of the index changes.
checkpoint split:
    input:
        series="resources/series.csv",
        index="resources/index.csv",
    output:
        directory("results/periods"),
    params:
        script=awk("split.awk"),
    log:
        "logs/split.log",
    benchmark:
        "benchmarks/split.tsv"
    shell:
        "mkdir -p {output}; awk -f {params.script} -v folder={output} {input.index} {input.series} 2> {log}"
