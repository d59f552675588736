"""A run without Slurm, as forecast."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demands import demand, many
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.planning.demand import Demand
from snakemake_executor_plugin_daskmpi.planning.forecast import forecast_of
from snakemake_executor_plugin_daskmpi.planning.here import plan_here
from snakemake_executor_plugin_daskmpi.planning.table import render_here
from snakemake_executor_plugin_daskmpi.resources import WorkerResources

PRINTED = """\
Jobs: 5 for workers, 0 local
  rules  jobs  threads  mem_mb  gpu  runtime  component
  train     1        2    1000    0   20 min  workers
  align     4        1     500    0   10 min  workers

There is no Slurm here. On this machine, with --daskmpi-launcher local:
  workers  cores each  MB each  GPUs each
        2           2     4000          -

Forecast: 20 min with 100% of the workers' cores busy; the longest chain of jobs takes 20 min.
  workers |████████████████████████████████████████████████████████████| 100% of 4 cores, 5 jobs
           0                                                     20 min

Note: another size is named by --daskmpi-workers, --daskmpi-cores, --daskmpi-mem-mb and --daskmpi-gpus.
Note: on the login node of a cluster, this shows the Slurm job that the workflow would get.
"""


def offer(cores: int = 2, mem_mb: int = 4001, gpus: int = 0, *guessed: str) -> WorkerResources:
    return WorkerResources(tuple(range(cores)), mem_mb, 10**6, tuple(map(str, range(gpus))), guessed)


def makespan(jobs: Demand, *offers: WorkerResources) -> float:
    plan, held = plan_here(jobs, offers)
    return forecast_of(plan, held).makespan_min


def test_what_would_come_of_it_is_printed_as_tables_and_a_picture() -> None:
    jobs = demand(many(4, "align", 1, 500, 10), many(1, "train", 2, 1000, 20))
    plan, held = plan_here(jobs, [offer(), offer()])
    assert render_here(plan, held, forecast_of(plan, held)) == PRINTED


def test_more_workers_take_less_time() -> None:
    jobs = demand(many(8, "align", 1, 500, 10))
    assert (makespan(jobs, offer()), makespan(jobs, offer(), offer())) == (40, 20)


def test_where_all_workers_take_all_jobs_a_component_makes_no_difference() -> None:
    jobs = demand(many(2, "align", 1, 500, 10, own="big"), many(2, "train", 1, 500, 10, partition="gpu"))
    assert makespan(jobs, offer()) == 20


def test_workers_may_be_of_several_sizes() -> None:
    plan, _ = plan_here(demand(many(1, "align")), [offer(2), offer(1), offer(2)])
    assert [(each.name, each.n_tasks) for each in plan.components] == [("2-core", 2), ("1-core", 1)]


def test_a_job_gets_all_that_was_guessed_to_be_there_and_takes_longer() -> None:
    jobs = demand(many(1, "align", 8, 16000, 10))
    assert makespan(jobs, offer(2, 4001, 0, "threads", "mem_mb")) == 40


def test_a_job_that_fits_no_worker_of_a_size_that_was_named_is_refused_as_its_run_would_be() -> None:
    with pytest.raises(LaunchError, match=r"^Rule align: No worker can ever hold a job with threads=8\.\n  Seen: "):
        plan_here(demand(many(1, "align", 8, 500, 10)), [offer()])


def test_local_jobs_need_no_worker_that_holds_them() -> None:
    (job,) = many(1, "all", 64)
    local = replace(job, need=replace(job.need, is_local=True, minutes=3.0))
    plan, held = plan_here(Demand((local,)), [offer()])
    assert "Jobs: 0 for workers, 1 local" in render_here(plan, held, forecast_of(plan, held))
