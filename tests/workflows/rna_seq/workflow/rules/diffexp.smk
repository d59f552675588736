rule diffexp:
    input:
        "results/counts/all.tsv",
    output:
        report(
            "results/diffexp/{contrast}.tsv",
            caption="../report/diffexp.rst",
            category="Differential expression",
            labels={"contrast": "{contrast}"},
        ),
    params:
        samples=samples_of_contrast,
        conditions=lambda wildcards: samples.loc[samples_of_contrast(wildcards), "condition"].to_dict(),
        contrast=lambda wildcards: config["diffexp"]["contrasts"][wildcards.contrast],
        min_count=config["diffexp"]["min_count"],
    log:
        "logs/diffexp/{contrast}.log",
    threads: 4
    priority: 10
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/diffexp.py"
