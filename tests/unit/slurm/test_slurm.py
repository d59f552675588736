"""What Slurm says of its site, read as a Site; and Slurm's programs, real scripts here, that do not answer."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm import controller, inquiry
from snakemake_executor_plugin_daskmpi.slurm.site import NodeType

if TYPE_CHECKING:
    from pathlib import Path

# As Slurm 22.05.8 prints them, but for fields that nobody reads.
MAIN = (
    "PartitionName=main AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A "
    "DefaultTime=01:00:00 MaxNodes=UNLIMITED MaxTime=UNLIMITED MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] "
    "OverSubscribe=NO OverTimeLimit=NONE State=UP TotalCPUs=16 SelectTypeParameters=NONE JobDefaults=(null) "
    "DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED TRES=cpu=16,mem=32G,node=2,billing=16"
)
GPU = (
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=blue,red AllowQos=high AllocNodes=ALL Default=NO QoS=N/A "
    "MaxNodes=3 MaxTime=1-12:30:00 MaxCPUsPerNode=6 Nodes=g1 OverSubscribe=EXCLUSIVE State=DRAIN MaxMemPerCPU=4000"
)
N1 = (
    "NodeName=n1 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=8 CPUTot=8 CPULoad=5.15 AvailableFeatures=lab,small "
    "ActiveFeatures=lab Gres=(null) OS=Linux 6.18 #1 SMP @0  RealMemory=16384 AllocMem=0 State=MIXED+PLANNED "
    "ThreadsPerCore=1 Partitions=main,short  BootTime=2026-11-23T06:04:18"
)
N2 = (
    "NodeName=n2 CPUEfctv=8 CPUTot=8 AvailableFeatures=(null) Gres=(null) RealMemory=16384 State=IDLE+DRAIN "
    "ThreadsPerCore=1 Partitions=main,short  Reason=disk State=IDLE [root@2026-11-23T09:44:11]"
)
G1 = (
    "NodeName=g1 CPUEfctv=14 CPUTot=16 AvailableFeatures=a100 Gres=gpu:a100:2(S:0-1),shard:8 RealMemory=32768 "
    "MemSpecLimit=1024 State=IDLE+CLOUD+POWERED_DOWN ThreadsPerCore=2 Partitions=gpu"
)


def partitions(*lines: str, nodes: tuple[str, ...] = (N1, N2, G1), config: dict[str, str] | None = None):
    return inquiry.parse_partitions("\n".join(lines), "\n".join(nodes), config or {})


def program(folder: Path, name: str, text: str) -> None:
    """Put a program on PATH, ahead of a real one."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_only_nodes_that_take_jobs_count():
    (main,) = partitions(MAIN)
    assert main.nodes == (NodeType(1, 8, 16384, 1, frozenset({"lab", "small"})),)


def test_a_partition_without_limits_has_none():
    (main,) = partitions(MAIN)
    limits = (main.max_minutes, main.max_nodes, main.max_mem_per_cpu_mb, main.accounts, main.qos)
    assert (main.is_default, main.is_up, main.whole_nodes, limits) == (True, True, False, (None,) * 5)


def test_limits_of_partition_and_node_are_heeded():
    (gpu,) = partitions(GPU)
    # 16 CPUs of which 2 are the system's, and 6 may be used; 1024 MB are the system's.
    assert gpu.nodes == (NodeType(1, 6, 31744, 2, frozenset({"a100"}), (("a100", 2),)),)
    assert (gpu.max_minutes, gpu.max_nodes, gpu.max_mem_per_cpu_mb) == (2190, 3, 4000)
    assert (gpu.accounts, gpu.qos) == ({"blue", "red"}, {"high"})
    assert (gpu.is_default, gpu.is_up, gpu.whole_nodes) == (False, False, True)


def test_alike_nodes_are_counted():
    (main,) = partitions(MAIN, nodes=(N1, N1.replace("n1", "n3"), G1.replace("=gpu", "=main")))
    assert [node.count for node in main.nodes] == [2, 1]


def test_select_linear_gives_whole_nodes_and_the_clusters_limits_hold():
    (main,) = partitions(MAIN, config={"SelectType": "select/linear", "MaxMemPerCPU": "2000"})
    assert (main.whole_nodes, main.max_mem_per_cpu_mb) == (True, 2000)


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        ("IDLE", True),
        ("ALLOCATED+COMPLETING", True),
        ("IDLE+PLANNED", True),
        ("IDLE+NOT_RESPONDING", True),
        ("idle~", True),
        ("alloc#", True),
        ("idle@", True),
        ("mix-", True),
        ("idle*", True),
        ("DOWN+NOT_RESPONDING", False),
        ("down*", False),
        ("MIXED+DRAIN", False),
        ("drained", False),
        ("IDLE+MAINTENANCE", False),
        ("idle$", False),
        ("FAILING", False),
        ("FUTURE", False),
        ("UNKNOWN", False),
    ],
)
def test_a_nodes_state_tells_whether_it_takes_jobs(state, usable):
    assert inquiry.is_usable(state) is usable


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", ()),
        ("gpu", (("", 1),)),
        ("gpu:4", (("", 4),)),
        ("gpu:a100:4(S:0-1)", (("a100", 4),)),
        ("gpu:a100:2(S:0,3),gpu:v100:1(S:1),nvme:1", (("a100", 2), ("v100", 1))),
        ("craynetwork:4,gpu:1", (("", 1),)),
    ],
)
def test_gpus_are_found_among_generic_resources(gres, gpus):
    assert inquiry.parse_gpus(gres) == gpus


def test_accounts_are_unknown_where_slurm_does_not_enforce_them():
    assert inquiry.ask_accounts({"AccountingStorageType": "accounting_storage/slurmdbd"}) == (None, None)


def test_accounts_are_asked_where_slurm_enforces_them(bin_folder):
    program(bin_folder, "sacctmgr", '[[ "$*" == *associations* ]] && printf "blue\\nred\\n" || echo normal')
    config = {"AccountingStorageType": "accounting_storage/slurmdbd", "AccountingStorageEnforce": "associations,qos"}
    assert inquiry.ask_accounts(config) == ({"blue", "red"}, {"normal"})


# -- programs that do not answer ---------------------------------------------------------------------


def test_a_controller_that_is_away_is_asked_again(bin_folder, monkeypatch):
    monkeypatch.setattr(controller, "_PAUSES_S", (0.0, 0.0))
    program(bin_folder, "scontrol", f"[ -e {bin_folder}/up ] && echo well && exit; touch {bin_folder}/up\n{AWAY}")
    told = []
    assert controller.ask(["scontrol", "ping"], tell=told.append) == "well\n"
    assert len(told) == 1
    assert "does not answer" in told[0]


AWAY = "echo 'slurm_load_partitions: Unable to contact slurm controller (connect failure)' >&2; exit 1"


def test_a_controller_that_stays_away_is_an_error(bin_folder):
    program(bin_folder, "scontrol", AWAY)
    with pytest.raises(LaunchError) as caught:
        controller.ask(["scontrol", "show", "config"], patience_s=0, tell=pytest.fail)
    assert "  Next: scontrol ping tells when it is back; then run the same command again." in str(caught.value)
    assert "connect failure" in str(caught.value)


def test_a_question_that_slurm_refuses_is_asked_once(bin_folder):
    program(bin_folder, "scontrol", f"echo once >>{bin_folder}/asked; echo 'Access denied' >&2; exit 1")
    with pytest.raises(LaunchError, match="Seen: scontrol show 'a b' said: Access denied"):
        controller.ask(["scontrol", "show", "a b"])
    assert (bin_folder / "asked").read_text() == "once\n"


def test_without_slurm_the_next_step_is_to_go_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError) as caught:
        inquiry.ask_site()
    assert "  Next: run this on a login node" in str(caught.value)


def test_slurms_programs_without_a_cluster_are_no_slurm(bin_folder):
    said = "scontrol: fatal: Could not establish a configuration source"
    program(bin_folder, "scontrol", f"echo 'scontrol: error: fetch_config: DNS SRV lookup failed\n{said}' >&2; exit 1")
    with pytest.raises(LaunchError, match=r"^There is no Slurm here\.\n  Seen: scontrol is here, and finds no cluster"):
        inquiry.ask_site()


def test_the_users_formats_and_an_outer_allocation_do_not_reach_slurms_programs(bin_folder, monkeypatch):
    program(bin_folder, "squeue", "env")
    for name in ("SQUEUE_FORMAT", "SLURM_JOB_ID", "SLURM_TIME_FORMAT"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SLURM_CONF", str(bin_folder))
    names = {line.partition("=")[0] for line in controller.answer_of(["squeue"]).out.splitlines()}
    assert "SLURM_CONF" in names
    assert not names & {"SQUEUE_FORMAT", "SLURM_JOB_ID", "SLURM_TIME_FORMAT"}
