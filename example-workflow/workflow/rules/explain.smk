"""What a random forest looks at: it reads test images of which a small patch is hidden."""


rule model:
    """Train a forest on all labelled images."""
    input:
        digits="results/digits.npz",
    output:
        temp("results/forest.pickle"),
    log:
        "logs/model.log",
    conda:
        "../envs/digits.yaml"
    params:
        trees=config["forest"]["trees"],
        seed=config["seed"],
    threads: 2  # the profile gives it 4, see set-threads there
    resources:
        mem_mb=300,
    script:
        "../scripts/model.py"


rule occlude:
    """Hide each patch of one part of the test images in turn, and see how much surer the forest was before."""
    input:
        digits="results/digits.npz",
        model="results/forest.pickle",
    output:
        temp("results/occlusion/{scatteritem}.csv"),
    log:
        "logs/occlude/{scatteritem}.log",
    conda:
        "../envs/digits.yaml"
    resources:
        mem_mb=300,
    script:
        "../scripts/occlude.py"


rule importance:
    """Gather the parts: average over all test images of a digit."""
    input:
        gather.occlusion("results/occlusion/{scatteritem}.csv"),
    output:
        "results/importance.csv",
    log:
        "logs/importance.log",
    conda:
        "../envs/digits.yaml"
    shell:
        "(echo digit,row,column,drop_percent;"
        " awk -F , 'FNR > 1 {{k = $2\",\"$3\",\"$4; n[k]++; s[k] += $5}}"
        ' END {{for (k in n) printf "%s,%.2f\\n", k, s[k] / n[k]}}\' {input}'
        " | LC_ALL=C sort -t , -k 1,1n -k 2,2n -k 3,3n) > {output} 2> {log}"
