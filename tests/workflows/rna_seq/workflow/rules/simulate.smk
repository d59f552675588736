rule simulate_genes:
    output:
        fasta="resources/genes.fa",
        annotation="resources/genes.tsv",
    params:
        simulation=config["simulation"],
    log:
        "logs/simulate_genes.log",
    cache: "omit-software"
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/simulate_genes.py"


rule simulate_reads:
    input:
        fasta="resources/genes.fa",
    output:
        fastq="resources/reads/{sample}-{unit}.fastq",
    params:
        simulation=config["simulation"],
        adapter=config["trimming"]["adapter"],
        condition=lambda wildcards: samples.loc[wildcards.sample, "condition"],
        quality_offset=lambda wildcards: int(units.loc[(wildcards.sample, wildcards.unit), "quality_offset"]),
    log:
        "logs/simulate_reads/{sample}-{unit}.log",
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/simulate_reads.py"
