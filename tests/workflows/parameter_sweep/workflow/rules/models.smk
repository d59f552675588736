rule train:
    input:
        "results/folds/{fold}/train.tsv",
    output:
        f"results/folds/{{fold}}/models/{paramspace.wildcard_pattern}.json",
    params:
        settings=paramspace.instance,
        digits=config["data"]["digits"],
    log:
        f"logs/train/{{fold}}/{paramspace.wildcard_pattern}.log",
    benchmark:
        f"benchmarks/train/{{fold}}/{paramspace.wildcard_pattern}.tsv"
    threads: lambda wildcards: 2 if int(wildcards.degree) > 3 else 1
    resources:
        mem_mb=lambda wildcards: 50 * int(wildcards.degree),
    script:
        "../scripts/train.py"


rule evaluate:
    input:
        model=rules.train.output[0],
        test="results/folds/{fold}/test.tsv",
    output:
        f"results/folds/{{fold}}/errors/{paramspace.wildcard_pattern}.tsv",
    script:
        "../scripts/evaluate.py"


# The same script, with all data and the settings that have won.
rule train_best:
    input:
        points="resources/points.tsv",
        selected="results/selected.json",
    output:
        protected("results/best/model.json"),
    params:
        settings=lambda wildcards: best_settings(),
        digits=config["data"]["digits"],
    log:
        "logs/train_best.log",
    priority: 50
    script:
        "../scripts/train.py"
