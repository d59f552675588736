"""Roles: who a process is, by the variables that launchers really set."""

from __future__ import annotations

import pytest

from environments import (
    BATCH_SCRIPT,
    HETJOB_BATCH_SCRIPT,
    INTEL,
    INTERACTIVE_STEP,
    MPICH,
    OPEN_MPI,
    SHELL,
    SRUN_PMIX,
    hetjob_rank,
)
from snakemake_executor_plugin_daskmpi.rank.roles import Role, Seat, hosts_of, own_component, seat_of, slurm_value


@pytest.mark.parametrize(
    ("environ", "seat"),
    [
        pytest.param(MPICH, Seat(2, 6, "mpiexec"), id="MPICH"),
        pytest.param(INTEL, Seat(2, 6, "mpiexec"), id="Intel MPI"),
        pytest.param(OPEN_MPI, Seat(2, 6, "Open MPI's mpiexec"), id="Open MPI"),
        pytest.param(SRUN_PMIX, Seat(2, 6, "srun"), id="srun --mpi=pmix"),
        pytest.param(hetjob_rank(0), Seat(0, 5, "srun"), id="hetjob, rank 0"),
        pytest.param(hetjob_rank(4), Seat(4, 5, "srun"), id="hetjob, rank 4"),
    ],
)
def test_a_rank_reads_its_seat_from_what_its_launcher_wrote(environ, seat):
    assert seat_of(environ) == seat


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param(SHELL, id="a login shell"),
        pytest.param(BATCH_SCRIPT, id="a batch script"),
        pytest.param(HETJOB_BATCH_SCRIPT, id="a hetjob's batch script"),
        pytest.param(INTERACTIVE_STEP, id="an interactive step"),
    ],
)
def test_a_process_that_stands_alone_has_no_seat(environ):
    assert seat_of(environ) is None


def test_an_interactive_step_has_no_seat_even_if_slurm_speaks_pmi2_by_default():
    assert seat_of(INTERACTIVE_STEP | {"PMI_RANK": "0", "PMI_SIZE": "1", "PMI_FD": "11"}) is None


def test_mpiexec_in_an_interactive_step_forms_its_own_world():
    assert seat_of(INTERACTIVE_STEP | MPICH) == Seat(2, 6, "mpiexec")


def test_mpiexec_in_a_batch_script_forms_its_own_world():
    assert seat_of(BATCH_SCRIPT | OPEN_MPI) == Seat(2, 6, "Open MPI's mpiexec")


def test_srun_without_an_mpi_type_still_says_how_many_it_started():
    without_mpi = {name: value for name, value in hetjob_rank(3).items() if not name.startswith("PMI")}
    assert seat_of(without_mpi) == Seat(3, 5, "srun")


def test_ranks_have_the_roles_that_dask_mpi_gives_them():
    roles = [Seat(rank, 5, "srun").role for rank in range(5)]
    assert roles == [Role.SCHEDULER, Role.CLIENT, Role.WORKER, Role.WORKER, Role.WORKER]


@pytest.mark.parametrize(("rank", "component"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)])
def test_a_rank_finds_its_component_by_the_name_of_its_node(rank, component):
    assert own_component(hetjob_rank(rank)) == component


def test_outside_a_hetjob_there_are_no_components():
    assert own_component(SRUN_PMIX) is None


@pytest.mark.parametrize(("rank", "cpus", "mem"), [(0, "1", "1024"), (2, "4", "3072"), (4, "4", "3072")])
def test_a_rank_reads_the_variables_of_its_own_component(rank, cpus, mem):
    environ = hetjob_rank(rank)
    assert slurm_value(environ, "SLURM_CPUS_PER_TASK") == cpus
    assert slurm_value(environ, "SLURM_MEM_PER_CPU") == mem


def test_outside_a_hetjob_the_plain_variable_holds():
    assert slurm_value(SRUN_PMIX, "SLURM_CPUS_PER_TASK") == "4"
    assert slurm_value(SRUN_PMIX, "SLURM_MEM_PER_NODE") is None


@pytest.mark.parametrize(
    ("nodelist", "hosts"),
    [
        ("", []),
        ("login", ["login"]),
        ("n1,n3", ["n1", "n3"]),
        ("n[2-4]", ["n2", "n3", "n4"]),
        ("n[1,3-4,9]", ["n1", "n3", "n4", "n9"]),
        ("node[098-101]", ["node098", "node099", "node100", "node101"]),
        ("a[1-2],b[07-08]", ["a1", "a2", "b07", "b08"]),
        ("r[1-2]n[1-2].cluster", ["r1n1.cluster", "r1n2.cluster", "r2n1.cluster", "r2n2.cluster"]),
    ],
)
def test_slurms_lists_of_nodes_are_spelled_out(nodelist, hosts):
    assert hosts_of(nodelist) == hosts
