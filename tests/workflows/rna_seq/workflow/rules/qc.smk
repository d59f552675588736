rule qc_unit:
    input:
        stats="results/trimmed/{sample}-{unit}.stats",
        sam="results/aligned/{sample}-{unit}.sam",
    output:
        "results/qc/{sample}-{unit}.json",
    log:
        "logs/qc/{sample}-{unit}.log",
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/qc_unit.py"


rule qc_summary:
    input:
        [f"results/qc/{unit.sample_name}-{unit.unit_name}.json" for unit in units.itertuples()],
    output:
        report("results/qc/summary.tsv", caption="../report/qc.rst", category="Quality control"),
    log:
        "logs/qc_summary.log",
    conda:
        "../envs/python.yaml"
    script:
        "../scripts/qc_summary.py"
