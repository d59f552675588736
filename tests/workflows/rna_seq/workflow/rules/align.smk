rule index:
    input:
        "resources/genes.fa",
    output:
        "resources/index.json",
    params:
        kmer=config["alignment"]["kmer"],
    log:
        "logs/index.log",
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/index.py"


rule align:
    input:
        fastq="results/trimmed/{sample}-{unit}.fastq",
        index="resources/index.json",
    output:
        "results/aligned/{sample}-{unit}.sam",
    params:
        max_mismatches=config["alignment"]["max_mismatches"],
    log:
        "logs/align/{sample}-{unit}.log",
    benchmark:
        "benchmarks/align/{sample}-{unit}.tsv"
    threads: 2
    resources:
        mem_mb=lambda wildcards, input, attempt: attempt * max(100, 2 * input.size_mb),
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/align.py"


rule merge:
    input:
        alignments_of,
    output:
        "results/merged/{sample}.sam",
    log:
        "logs/merge/{sample}.log",
    message:
        "Merging the units of {wildcards.sample}"
    shell:
        "LC_ALL=C sort {input} > {output} 2> {log}"
