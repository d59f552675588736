"""Cgroup: limits, use and kills as the kernel writes them, in folders laid out as it does; and this process's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.worker.memory.cgroup import Cgroup, host_oom_kills, host_used_mb

if TYPE_CHECKING:
    from pathlib import Path

#: Of a step of a Slurm job: version 2 on one line, version 1 on one for each controller.
V2 = "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_1\n"
V1 = "9:cpuset:/slurm/uid_1/job_7/step_0\n4:memory,hugetlb:/slurm/uid_1/job_7/step_0\n0::/\n"


def cgroup_of(folder: Path, membership: str, files: dict[str, str]) -> Cgroup:
    """Return the group of a process with such a ``/proc/self/cgroup``, in a tree with such files."""
    for name, text in files.items():
        file = folder / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "cgroup").write_text(membership)
    return Cgroup.own(folder / "cgroup", folder / "fs")


def test_the_lowest_limit_on_the_way_up_counts_in_version_2(tmp_path: Path):
    job = "system.slice/slurmstepd.scope/job_7"
    files = {
        f"{job}/memory.max": "8000000000\n",
        f"{job}/step_0/memory.max": "4000000000\n",
        f"{job}/step_0/user/memory.max": "max\n",
        f"{job}/step_0/user/task_1/memory.max": "max\n",
        f"{job}/step_0/memory.stat": "anon 3000000000\nfile 900000000\nkernel 5\nshmem 200000000\n",
        f"{job}/step_0/user/task_1/memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
    }
    own = cgroup_of(tmp_path, V2, files)
    limit = own.limit()
    assert limit == (4000, tmp_path / "fs" / job / "step_0")
    assert own.used_mb(limit[1]) == 3200, "the page cache is no use that would have to end"
    assert own.oom_kills() == 1


def test_the_lowest_limit_on_the_way_up_counts_in_version_1(tmp_path: Path):
    job = "memory/slurm/uid_1/job_7"
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        f"{job}/memory.limit_in_bytes": "2000000000\n",
        f"{job}/step_0/memory.limit_in_bytes": "9223372036854771712\n",
        f"{job}/memory.stat": "rss 1\ntotal_cache 900000000\ntotal_rss 1500000000\ntotal_shmem 100000000\n",
        f"{job}/step_0/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
    }
    own = cgroup_of(tmp_path, V1, files)
    limit = own.limit()
    assert limit == (2000, tmp_path / "fs" / job)
    assert own.used_mb(limit[1]) == 1600
    assert own.oom_kills() == 4


def test_in_a_container_the_mount_is_its_own_group(tmp_path: Path):
    own = cgroup_of(tmp_path, "0::/../../docker/4711\n", {"memory.max": "1500000000\n"})
    assert own.limit() == (1500, tmp_path / "fs")


@pytest.mark.parametrize("membership", [V2, V1, "", "1:cpu:/\n"])
def test_where_nothing_accounts_for_memory_there_is_no_limit(tmp_path: Path, membership: str):
    own = cgroup_of(tmp_path, membership, {"cgroup.procs": ""})
    assert (own.limit(), own.oom_kills()) == (None, None)
    assert Cgroup.own(tmp_path / "nowhere").limit() is None


def test_this_process_and_this_host_can_be_asked():
    limit = Cgroup.own().limit()
    used_mb, total_mb = host_used_mb()
    assert limit is None or limit[0] > 0
    assert 0 < used_mb < total_mb
    assert (host_oom_kills() or 0) >= 0
