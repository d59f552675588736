"""The images, how unlike any two of them are, and a map on which like ones are near."""


rule digits:
    """Unpack the images that come with scikit-learn, and set test images aside."""
    output:
        "results/digits.npz",
    log:
        "logs/digits.log",
    conda:
        "../envs/digits.yaml"
    params:
        test_images=config["test_images"],
        seed=config["seed"],
    priority: 100  # everything waits for it
    script:
        "../scripts/digits.py"


rule distances:
    """Compare all images with all others, in all small shifts: fast, but with much memory."""
    input:
        "results/digits.npz",
    output:
        temp("results/distances/{metric}.npy"),
    log:
        "logs/distances/{metric}.log",
    benchmark:
        "benchmarks/distances/{metric}.tsv"  # its max_rss shows whether mem_mb is honest
    conda:
        "../envs/digits.yaml"
    params:
        reach=lambda wildcards: config["shift_pixels"] if wildcards.metric == "shifted" else 0,
    priority: 100  # most learning jobs and the map wait for it
    resources:
        mem_mb=distances_mem_mb,
    script:
        "../scripts/distances.py"


rule map:
    """Arrange all images in the plane (t-SNE). The longest job, so it starts as early as it can."""
    input:
        digits="results/digits.npz",
        distances="results/distances/shifted.npy",
    output:
        "results/map.csv",
    log:
        "logs/map.log",
    conda:
        "../envs/digits.yaml"
    params:
        seed=config["seed"],
    priority: 50
    retries: 2
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,  # more at each retry
        runtime=5,
    script:
        "../scripts/map.py"
