"""Demands and sites for tests of planning."""

from __future__ import annotations

from typing import Any

from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job, Need
from snakemake_executor_plugin_daskmpi.resources import JobResources, Steering
from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site

MAIN = Partition("main", (NodeType(4, 8, 16384),), max_minutes=600, is_default=True)
GPU = Partition("gpu", (NodeType(2, 16, 64000, gpus=(("a100", 4),)),))
BIG = Partition("bigmem", (NodeType(1, 32, 512000, features=frozenset({"nvme"})),), accounts=frozenset({"geo"}))
SITE = Site("tiny", "22.05.8", (MAIN, GPU, BIG), accounts=frozenset({"geo", "bio"}))


def need(cores: int = 1, mem_mb: int = 1000, minutes: int = 5, **more: Any) -> Need:
    """Return what a job needs: ``gpus`` and ``tasks`` of it, the rest of ``more`` steers it."""
    gpus, tasks = more.pop("gpus", 0), more.pop("tasks", 1)
    steering = Steering(**more)
    asked = JobResources(
        cores=cores * tasks,
        mem_mb=mem_mb,
        gpus=gpus,
        runtime_min=minutes,
        component=steering.component,
        tasks=tasks,
        spans=tasks > 1,
    )
    return Need(asked, steering, float(minutes))


def many(count: int, rule: str, *args: Any, **more: Any) -> list[Job]:
    """Return equal jobs that wait for nothing."""
    return [Job(rule, need(*args, **more))] * count


def demand(*jobs: list[Job], **more: Any) -> Demand:
    """Return the demand of some jobs."""
    return Demand(tuple(job for some in jobs for job in some), **more)
