"""Environment: jobs see nothing of our world, and what they were granted."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from environments import RANKS, SRUN_PMIX, hetjob_rank
from snakemake_executor_plugin_daskmpi.messages import Grant
from snakemake_executor_plugin_daskmpi.rank.job_environment import (
    ON_THIS_NODE,
    THREAD_COUNT_NAMES,
    granted_environment,
    is_rank_variable,
    scrub,
)
from snakemake_executor_plugin_daskmpi.rank.roles import seat_of
from snakemake_executor_plugin_daskmpi.rank.slurm_programs import FOLDER

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("launcher", RANKS)
def test_after_a_scrub_a_process_takes_itself_for_no_rank(launcher):
    environ = dict(RANKS[launcher])
    assert seat_of(environ) is not None
    scrub(environ)
    assert seat_of(environ) is None
    assert not [name for name in environ if name.startswith(("PMI", "OMPI_COMM", "MPI_LOCAL"))]


@pytest.mark.parametrize("launcher", RANKS)
def test_a_scrub_leaves_the_users_own_variables(launcher):
    environ = dict(RANKS[launcher]) | {"OMPI_ALLOW_RUN_AS_ROOT": "1"}
    scrub(environ)
    assert {"PATH", "HOME", "OMP_NUM_THREADS", "OMPI_ALLOW_RUN_AS_ROOT"} <= set(environ)


def test_a_scrub_leaves_what_a_step_of_the_same_allocation_needs():
    environ = hetjob_rank(2)
    scrub(environ)
    assert {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_HET_SIZE", "SLURMD_NODENAME"} <= set(environ)


def test_what_slurm_gave_the_allocation_is_left_and_how_our_step_was_started_is_not():
    options = {"SLURM_KILL_BAD_EXIT": "0", "SRUN_CPUS_PER_TASK": "4", "SLURM_DISTRIBUTION": "block", "SRUN_DEBUG": "3"}
    environ = SRUN_PMIX | options | {"SLURM_TASKS_PER_NODE": "2(x3)", "MPIR_CVAR_ALLREDUCE": "the user's"}
    scrub(environ)
    assert not set(options) & set(environ)
    assert "SLURM_TASKS_PER_NODE" not in environ
    kept = {"SLURM_MEM_PER_CPU": "2000", "SLURM_CPUS_PER_TASK": "4", "SLURM_NTASKS": "6", "SLURM_MPI_TYPE": "pmix"}
    kept |= {"MPIR_CVAR_ALLREDUCE": "the user's"}
    assert {name: environ.get(name) for name in kept} == kept


def test_a_second_scrub_leaves_an_environment_as_it_is():
    environ = hetjob_rank(2)
    scrub(environ)
    once = dict(environ)
    scrub(environ)
    assert environ == once


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "PATH", "PMIC", "OPENMPI_HOME", "MPICC"])
def test_a_name_that_only_looks_like_a_ranks_is_none(name):
    assert not is_rank_variable(name)


@pytest.mark.parametrize(("cores", "threads"), [((), "1"), ((7,), "1"), ((2, 3, 5), "3")])
def test_a_job_is_told_how_many_threads_it_may_use(cores, threads):
    assert granted_environment(Grant(cores), (), {}) == dict.fromkeys(THREAD_COUNT_NAMES, threads)


def test_numbers_of_threads_that_the_user_has_set_are_kept():
    added = granted_environment(Grant((0, 1)), (), {"OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": ""})
    assert added == dict.fromkeys(set(THREAD_COUNT_NAMES) - {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}, "2")


def test_a_job_in_a_step_has_slurms_numbers_of_its_own():
    added = granted_environment(Grant((0, 1), tasks=2, cores_per_task=1, nodes=("n1", "n1")), (), SRUN_PMIX)
    own = {"SLURM_NTASKS": "2", "SLURM_NPROCS": "2", "SLURM_CPUS_PER_TASK": "1", "SLURM_NNODES": "1"}
    assert {name: added.get(name) for name in own} == own


def test_a_job_sees_the_gpus_it_was_granted():
    added = granted_environment(Grant((0,), ("GPU-b", "GPU-c")), ("GPU-a", "GPU-b", "GPU-c"), {})
    assert added["CUDA_VISIBLE_DEVICES"] == "GPU-b,GPU-c"
    assert "ROCR_VISIBLE_DEVICES" not in added


def test_a_job_that_asked_for_no_gpu_sees_none_of_the_workers():
    added = granted_environment(Grant((0,)), ("0", "1"), {"ROCR_VISIBLE_DEVICES": "0,1"})
    assert added["CUDA_VISIBLE_DEVICES"] == ""
    assert added["ROCR_VISIBLE_DEVICES"] == ""


@pytest.fixture
def slurm_bin(tmp_path: Path) -> Path:
    """A folder with programs of Slurm's names that say what they were called with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("srun", "sbatch", "salloc"):
        program = folder / name
        program.write_text('#!/bin/sh\nfor a in "$@"; do echo "ARG=$a"; done\nenv\n')
        program.chmod(0o755)
    return folder


def called(slurm_bin: Path, environ: dict[str, str], *command: str) -> tuple[list[str], dict[str, str]]:
    """Call a program of Slurm's as a job would, and return its arguments and environment as the real one sees them."""
    environ = environ | {"PATH": f"{slurm_bin}:/usr/bin:/bin"}
    scrub(environ)
    assert environ["PATH"].split(":")[0] == str(FOLDER)
    done = subprocess.run(["env", *command], env=environ, capture_output=True, text=True, check=True)
    lines = [line.split("=", 1) for line in done.stdout.splitlines() if "=" in line]
    arguments = [value for name, value in lines if name == "ARG"]
    return arguments, {name: value for name, value in lines if name != "ARG"}


def test_srun_in_a_job_shares_what_our_step_holds(slurm_bin):
    arguments, seen = called(slurm_bin, SRUN_PMIX | {"SLURM_JOB_NUM_NODES": "3"}, "srun", "-n", "2", "a b", "*")
    assert arguments == ["-n", "2", "a b", "*"]
    assert (seen["SLURM_OVERLAP"], seen["SLURM_MEM_PER_NODE"]) == ("1", "0")
    assert not {"SLURM_MEM_PER_CPU", "SLURM_JOB_NUM_NODES"} & set(seen)


def test_srun_in_a_job_goes_to_the_component_that_the_job_is_in(slurm_bin):
    assert called(slurm_bin, hetjob_rank(2), "srun", "hostname")[0] == ["--het-group=1", "hostname"]
    for own in (["--het-group=0", "hostname"], ["-n1", "a", ":", "-n1", "b"]):
        assert called(slurm_bin, hetjob_rank(2), "srun", *own)[0] == own


def test_srun_in_another_allocation_is_as_it_was_called(slurm_bin):
    arguments, seen = called(slurm_bin, hetjob_rank(2), "SLURM_JOB_ID=99", "srun", "hostname")
    assert arguments == ["hostname"]
    assert "SLURM_OVERLAP" not in seen
    assert seen["SLURM_MEM_PER_CPU"] == "1024"


@pytest.mark.parametrize("program", ["sbatch", "salloc"])
@pytest.mark.parametrize("launcher", ["srun with PMI-2 in a hetjob", "srun with PMIx"])
def test_nothing_of_our_world_goes_along_with_a_job_that_is_submitted(slurm_bin, program, launcher):
    own = {"SLURM_CONF": "/slurm.conf", "HYDRA_DEBUG": "1", "LD_LIBRARY_PATH": "/lib"}
    arguments, seen = called(slurm_bin, RANKS[launcher] | own, *(f"{n}={v}" for n, v in own.items()), program, "-n 2")
    assert arguments == ["-n 2"]
    assert seen["PATH"] == f"{slurm_bin}:/usr/bin:/bin"
    assert not set(ON_THIS_NODE) & set(seen)
    assert {name: seen.get(name) for name in own} == own
    left = {name for name in seen if name.startswith(("SLURM", "DASKMPI"))}
    assert left <= {"SLURM_CONF", "SLURMD_NODENAME"}


def test_an_mpiexec_setting_of_the_users_own_goes_along(slurm_bin):
    _, seen = called(slurm_bin, SRUN_PMIX, "HYDRA_LAUNCHER=ssh", "sbatch")
    assert seen["HYDRA_LAUNCHER"] == "ssh"


def test_two_such_folders_do_not_call_each_other_for_ever(slurm_bin, tmp_path):
    other = tmp_path / "another environment"
    other.mkdir()
    for file in FOLDER.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
        (other / file.name).chmod(0o755)
    environ = SRUN_PMIX | {"PATH": f"{other}:{FOLDER}:{slurm_bin}:{os.defpath}"}
    done = subprocess.run(["srun", "x"], env=environ, capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout.startswith("ARG=x\n")


def test_a_program_that_is_not_there_is_said_to_be_missing():
    done = subprocess.run([FOLDER / "salloc"], env={"PATH": str(FOLDER)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "salloc: command not found\n")
