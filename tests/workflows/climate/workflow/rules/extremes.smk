checkpoint find_extremes:
    input:
        "results/{variable}/means.tsv",
    output:
        "results/{variable}/extremes.txt",
    params:
        threshold=lambda wildcards: config["thresholds"][wildcards.variable],
    log:
        "logs/find_extremes/{variable}.log",
    benchmark:
        "benchmarks/find_extremes/{variable}.tsv"
    script:
        "../scripts/find_extremes.py"


rule page:
    input:
        map="results/{variable}/maps/{period}.csv",
        extremes="results/{variable}/extremes.txt",
    output:
        "results/{variable}/pages/{period}.txt",
    log:
        "logs/page/{variable}-{period}.log",
    benchmark:
        "benchmarks/page/{variable}-{period}.tsv"
    shell:
        "(echo {wildcards.variable} of period {wildcards.period}; grep '^{wildcards.period} ' {input.extremes};"
        " cat {input.map}) > {output} 2> {log}"


rule gather_pages:
    input:
        pages,
    output:
        "results/pages.txt",
    log:
        "logs/gather_pages.log",
    benchmark:
        "benchmarks/gather_pages.tsv"
    run:
        with open(output[0], "w") as file, open(log[0], "w") as log_file:
            for name in input:
                file.write(open(name).read())
            print(len(input), "pages", file=log_file)
