"""How well each method reads unseen digits after a number of labelled ones: a coarse pass, then a fine one."""


rule learn:
    """Train one method on some labelled digits, drawn at random, and let it read the test images."""
    input:
        digits="results/digits.npz",
        distances=distances_of,
    output:
        "results/predictions/{method}/{labels}/{repeat}.csv",
    log:
        "logs/learn/{method}/{labels}/{repeat}.log",
    conda:
        "../envs/digits.yaml"
    params:
        kernel=config["kernel"],
        seed=config["seed"],
    script:
        "../scripts/learn.py"


rule forest:
    """Do the same with a random forest, which can use several threads; all repeats in one job."""
    input:
        digits="results/digits.npz",
    output:
        "results/predictions/forest/{labels}.csv",
    log:
        "logs/forest/{labels}.log",
    benchmark:
        "benchmarks/forest/{labels}.tsv"
    conda:
        "../envs/digits.yaml"
    params:
        trees=config["forest"]["trees"],
        repeats=config["repeats"],
        seed=config["seed"],
    threads: 4
    resources:
        mem_mb=300,
    script:
        "../scripts/forest.py"


rule score:
    """Count how many test images a method misread."""
    input:
        predictions_of,
    output:
        "results/scores/{stage}/{method}.csv",
    log:
        "logs/score/{stage}/{method}.log",
    run:
        write_rows(output[0], scores_of(wildcards.method, input), log[0])


checkpoint finalists:
    """Look at the coarse scores and decide what the second pass is to try."""
    input:
        expand("results/scores/coarse/{method}.csv", method=config["methods"]),
    output:
        plan="results/finalists.csv",
    log:
        "logs/finalists.log",
    priority: 100  # nobody knows how much work there is before it is done
    run:
        write_rows(output.plan, fine_plan(read_rows(input)), log[0])


rule learning_curves:
    """Put the scores of both passes together, under one header, in a stable order."""
    input:
        expand("results/scores/coarse/{method}.csv", method=METHODS),
        fine_scores,
    output:
        "results/learning_curves.csv",
    log:
        "logs/learning_curves.log",
    conda:
        "../envs/digits.yaml"
    shell:
        "(awk 'NR == 1' {input}; awk 'FNR > 1' {input} | LC_ALL=C sort -t , -k 1,1 -k 2,2n) > {output} 2> {log}"


rule answer:
    """Answer the question: how many labels does each method need?"""
    input:
        "results/learning_curves.csv",
    output:
        "results/answer.csv",
    log:
        "logs/answer.log",
    run:
        write_rows(output[0], answers(read_rows(input)), log[0])


rule hardest:
    """Find the test images that the finalists misread most often even after the most labels."""
    input:
        finalists_at_full_size,
    output:
        "results/hardest.csv",
    log:
        "logs/hardest.log",
    conda:
        "../envs/digits.yaml"
    shell:
        "(echo times,image,digit,read_as;"
        " awk -F , 'FNR > 1 && $4 != $5 {{n[$3\",\"$4\",\"$5]++}} END {{for (i in n) print n[i]\",\"i}}' {input}"
        " | LC_ALL=C sort -t , -k 1,1nr -k 2,2n) > {output} 2> {log}"
