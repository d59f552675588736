rule simulate:
    output:
        "resources/points.tsv",
    params:
        **config["data"],
    script:
        "../scripts/simulate.py"


rule split:
    input:
        "resources/points.tsv",
    output:
        train="results/folds/{fold}/train.tsv",
        test="results/folds/{fold}/test.tsv",
    params:
        folds=config["folds"],
    shell:
        "awk -v folds={params.folds} -v fold={wildcards.fold} -v train={output.train} -v test={output.test}"
        " 'NR == 1 {{ print > train; print > test; next }} {{ print > (NR % folds == fold ? test : train) }}' {input}"
