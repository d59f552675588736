rule count:
    input:
        sam="results/merged/{sample}.sam",
        annotation="resources/genes.tsv",
    output:
        "results/counts/{sample}.tsv",
    log:
        "logs/count/{sample}.log",
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/count.py"


rule count_matrix:
    input:
        expand("results/counts/{sample}.tsv", sample=samples.index),
    output:
        "results/counts/all.tsv",
    params:
        samples=samples.index.tolist(),
    log:
        "logs/count_matrix.log",
    run:
        tables = [pd.read_csv(name, sep="\t", index_col="gene") for name in input]
        columns = [table["count"].rename(sample) for table, sample in zip(tables, params.samples)]
        pd.concat(columns, axis=1).to_csv(output[0], sep="\t")
        with open(log[0], "w") as file:
            print(len(columns), "samples", file=file)


rule normalize:
    input:
        "results/counts/all.tsv",
    output:
        report("results/counts/normalized.tsv", caption="../report/normalized.rst", category="Counts"),
    log:
        "logs/normalize.log",
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/normalize.py"
