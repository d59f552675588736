"""The printed plan: whole."""

from __future__ import annotations

from demands import SITE, demand, many
from snakemake_executor_plugin_daskmpi.planning.forecast import forecast_of
from snakemake_executor_plugin_daskmpi.planning.planner import plan_of
from snakemake_executor_plugin_daskmpi.planning.table import render_plan
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

PRINTED = """\
Jobs: 7 for workers, 0 local
  rules  jobs  threads  mem_mb  gpu  runtime  component
  align     4        4    6000    0   20 min  workers
  train     3        4   16000    1   20 min  gpu

Slurm job: 9 ranks: scheduler, client and 7 workers; heterogeneous, 3 components
  component  ranks  CPUs each  MB each  GPUs each  partition  further
  head           2          1      512          -  main
  workers        4          4     6272          -  main
  gpu            3          4    16256          1  gpu

Forecast: 20 min with 100% of the workers' cores busy; the longest chain of jobs takes 20 min.
Walltime: 00:30:00
  workers |████████████████████████████████████████████████████████████| 100% of 16 cores, 4 jobs
  gpu     |████████████████████████████████████████████████████████████| 100% of 12 cores, 3 jobs
           0                                                     20 min

Why: 3 components: ranks 0 and 1 do little, and have a small one of their own, which takes 2 CPUs; as two tasks of a \
worker's size they would take 8 CPUs.
"""


def printed(jobs) -> str:
    plan = plan_of(jobs, SITE, Settings())
    return render_plan(plan, jobs, forecast_of(plan, jobs))


def test_a_plan_is_printed_as_tables_and_a_picture() -> None:
    assert printed(demand(many(4, "align", 4, 6000, 20), many(3, "train", 4, 16000, 20, gpus=1, partition="gpu"))) == (
        PRINTED
    )


def test_many_kinds_of_jobs_are_cut_short() -> None:
    text = printed(demand(*(many(2, f"r{i}", 1, 1000 + i) for i in range(50))))
    assert "  and 30 more kinds with 60 jobs\n" in text
