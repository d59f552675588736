"""What a plan costs on top of Snakemake's own dry run.

Times, in turn in the same run, ``snakemake -n`` and ``snakemake --executor daskmpi --daskmpi-launcher plan`` on one DAG
of 10,000 jobs, and exits with 1 if the ratio of the medians is 3 or more. Needs a Slurm to ask: set SLURM_CONF.
"""

import argparse
import sys
from statistics import median

from commands import CHECKOUT, RunError, environment, scratch_directory, seconds_of, snakemake_command

SNAKEFILE = """\
rule all:
    input:
        expand("out/{{i}}.txt", i=range({pairs})),

rule first:
    output:
        "mid/{{i}}.txt",
    threads: 2
    resources:
        mem_mb=1500,
        runtime=7,
    shell:
        "echo {{wildcards.i}} > {{output}}"

rule second:
    input:
        "mid/{{i}}.txt",
    output:
        "out/{{i}}.txt",
    resources:
        runtime=lambda wildcards: 3 + int(wildcards.i) % 3,
    shell:
        "cat {{input}} > {{output}}"
"""

#: A plan may take so many times the time of a dry run.
LIMIT = 3


def main() -> None:
    """Measure in rounds, print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs of the DAG; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the median; default: %(default)s")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take; default: 900")
    options = parser.parse_args()
    plan = ["--executor", "daskmpi", "--daskmpi-launcher", "plan", "--jobs", "unlimited"]
    arguments = {"snakemake -n": ["-n"], "plan": plan}
    seconds: dict[str, list[float]] = {name: [] for name in arguments}
    with scratch_directory() as directory:
        (directory / "Snakefile").write_text(SNAKEFILE.format(pairs=options.jobs // 2))
        for turn in range(options.repeats):
            for name, words in arguments.items():
                command = snakemake_command(*words)
                seconds[name].append(seconds_of(command, directory, environment(CHECKOUT), options.timeout))
                print(f"round {turn + 1}, {name}: {seconds[name][-1]:.1f} s", flush=True)
    dry, planned = (median(times) for times in seconds.values())
    print(f"\n{options.jobs} jobs: snakemake -n {dry:.1f} s, plan {planned:.1f} s, ratio {planned / dry:.2f}")
    if planned / dry >= LIMIT:
        raise RunError(f"A plan takes {planned / dry:.2f} times as long as snakemake -n, not under {LIMIT}", directory)


if __name__ == "__main__":
    try:
        main()
    except RunError as e:
        sys.exit(f"FAILED: {e}")
