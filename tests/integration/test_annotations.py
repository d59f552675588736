"""What a rule asks for counts, whichever of the names in use it asks by."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Workflow

PER_CPU = """
    import time

    rule all:
        input: expand("{n}.txt", n=range(6))

    rule one:
        output: "{n}.txt"
        threads: lambda wildcards: int(wildcards.n) % 2 + 1
        resources: mem_mb_per_cpu=800
        run:
            start = time.monotonic()
            time.sleep(0.5)
            with open(output[0], "w") as file:
                print(threads, start, time.monotonic(), file=file)
"""

#: By rule: what it asks for, and how many of two GPUs it gets.
GPUS = {
    "gpu": ("gpu=1", 1),
    "text": ('gpu="1"', 1),
    "none": ("mem_mb=10", 0),
    "gres": ('gres="gpu:1"', 1),
    "gres_model": ('gres="gpu:a100:2"', 2),
    "gres_alone": ('gres="gpu"', 1),
    "gres_list": ('gres="gpu:1,lscratch:10"', 1),
    "extra_gres": ("slurm_extra=\"'--gres=gpu:a100:1'\"", 1),
    "extra_gpus": ('slurm_extra="--nice=100 --gpus a100:2"', 2),
    "extra_short": ('slurm_extra="-G2"', 2),
    "extra_task": ('slurm_extra="--gpus-per-task=1"', 1),
}


@pytest.mark.parametrize(
    "more", [(), pytest.param(("--daskmpi-no-warm",), marks=pytest.mark.nightly)], ids=["warm", "spawned"]
)
def test_memory_per_cpu_counts_for_all_of_a_jobs_cores(workflow: Workflow, more: tuple[str, ...]):
    workflow.write("Snakefile", PER_CPU)
    workflow.start("--daskmpi-cores", "4", "--daskmpi-mem-mb", "1600", *more).ends_with(0)
    jobs = [tuple(map(float, workflow.read(f"{n}.txt").split())) for n in range(6)]
    changes = [(start, cores) for cores, start, _ in jobs] + [(end, -cores) for cores, _, end in jobs]
    assert max(accumulate(change for _, change in sorted(changes))) == 2, "1,600 MB are 800 MB for each of two cores"


def test_gpus_are_a_jobs_own_however_it_asks_for_them(workflow: Workflow):
    rules = ["rule all:\n    input: " + ", ".join(f'"{name}.txt"' for name in GPUS)]
    for name, (asked, _) in GPUS.items():
        shell = '    shell: "echo $CUDA_VISIBLE_DEVICES > {output}"'
        rules.append(f'rule {name}_:\n    output: "{name}.txt"\n    resources: {asked}\n{shell}')
    workflow.write("Snakefile", "\n\n".join(rules) + "\n")
    run = workflow.start("--daskmpi-gpus", "0,1", env={"CUDA_VISIBLE_DEVICES": "0,1"})
    run.ends_with(0)
    seen = {name: [i for i in workflow.read(f"{name}.txt").strip().split(",") if i] for name in GPUS}
    assert {name: len(ids) for name, ids in seen.items()} == {name: count for name, (_, count) in GPUS.items()}
    assert {i for ids in seen.values() for i in ids} == {"0", "1"}
    said = {line for line in run.text.splitlines() if "has no effect here" in line}
    others = ("lscratch:10 in gres", "--nice=100 in slurm_extra")
    assert said == {f"daskmpi: resource {what} steers other executors and has no effect here." for what in others}
