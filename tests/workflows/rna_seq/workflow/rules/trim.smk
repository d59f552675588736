rule trim:
    input:
        "resources/reads/{sample}-{unit}.fastq",
    output:
        fastq=temp("results/trimmed/{sample}-{unit}.fastq"),
        stats="results/trimmed/{sample}-{unit}.stats",
    params:
        script=f"{workflow.basedir}/scripts/trim.awk",
        adapter=config["trimming"]["adapter"],
        quality=config["trimming"]["quality"],
        min_length=config["trimming"]["min_length"],
    log:
        "logs/trim/{sample}-{unit}.log",
    threads: 2
    conda:
        "../envs/trim.yaml"
    shell:
        "awk -f {params.script} -v adapter={params.adapter} -v quality={params.quality}"
        " -v min_length={params.min_length} -v stats={output.stats} {input} > {output.fastq} 2> {log}"
