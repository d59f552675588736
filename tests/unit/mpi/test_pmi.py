"""What each MPI library needs to meet under ``srun``, and what keeps it from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from environments import SRUN_PMIX
from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.mpi.pmi import check, find_library, needed_environment
from snakemake_executor_plugin_daskmpi.world.meeting import check_order

if TYPE_CHECKING:
    from pathlib import Path

MPICH = "MPICH Version:      5.0.2\nMPICH Device:       ch4:ucx ofi\nMPICH CC: cc"
MPICH_TCP = "MPICH Version:      4.0.2\nMPICH Device:       ch3:nemesis\n"
INTEL = "Intel(R) MPI Library 2021.18 for Linux* OS\n\0"
OPEN_MPI = "Open MPI v5.0.11, package: Open MPI root@build"
CRAY = "MPI VERSION    : CRAY MPICH version 8.1\n"

#: MPICH shares no memory; over UCX it would hang now and then.
NOLOCAL = {"MPIR_CVAR_NOLOCAL": "1"}
OFI = NOLOCAL | {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}


def make_slurm(folder: Path, library: str) -> dict[str, str]:
    """Make an installation with an srun and a PMI library, and return an environment with it on PATH."""
    for name in ("bin/srun", library):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch(mode=0o755)
    return {"PATH": str(folder / "bin")}


@pytest.mark.parametrize(
    ("library", "step", "said"),
    [
        (MPICH, {"SLURM_MPI_TYPE": "pmi2"}, "auto"),
        (INTEL, {"SLURM_MPI_TYPE": "pmi2"}, "auto"),
        (OPEN_MPI, {"SLURM_MPI_TYPE": "pmix_v4"}, "auto"),
        # who names the type is believed
        (MPICH, {"SLURM_MPI_TYPE": "pmix"}, "pmix"),
        # Intel MPI speaks what it is told to, and so does a library that the user names
        (INTEL, {"SLURM_MPI_TYPE": "pmix"}, "auto"),
        (INTEL, {"SLURM_MPI_TYPE": "pmix", "I_MPI_PMI_LIBRARY": "/x/libpmix.so"}, "auto"),
        (INTEL, {"SLURM_MPI_TYPE": "none", "I_MPI_PMI_LIBRARY": "/x/libpmi.so"}, "auto"),
        # of these we know too little
        (CRAY, {"SLURM_MPI_TYPE": "pmix"}, "auto"),
        (MPICH, {"SLURM_MPI_TYPE": "cray_shasta"}, "auto"),
        (MPICH, {}, "auto"),
    ],
)
def test_a_library_that_may_speak_what_the_step_offers_is_let_through(library, step, said):
    check(library, step, said)


@pytest.mark.parametrize(
    ("library", "step", "words", "way_out"),
    [
        (MPICH, {"SLURM_MPI_TYPE": "pmix_v4"}, "MPICH does not speak PMIx", "pmi2 … If this MPICH was built for it: "),
        (MPICH, {"SLURM_MPI_TYPE": "none"}, "MPICH does not speak with Slurm without PMI", "pmi2 …"),
        (OPEN_MPI, {"SLURM_MPI_TYPE": "pmi2"}, "Open MPI does not speak PMI-2", "pmix … If this Open MPI was built"),
        (INTEL, {"SLURM_MPI_TYPE": "none"}, "Intel MPI does not speak with Slurm", "pmi2 …"),
        (INTEL, {"SLURM_MPI_TYPE": "pmix", "I_MPI_PMI_LIBRARY": "/x/libpmi2.so"}, "not speak PMIx", "pmi2 …"),
    ],
)
def test_a_library_that_does_not_is_refused_with_the_srun_that_does(library, step, words, way_out):
    with pytest.raises(WorldError, match=words) as raised:
        check(library, step)
    assert str(raised.value).partition("\n  Next: ")[2].startswith(f"srun --mpi={way_out}")


@pytest.mark.parametrize(
    ("library", "environ", "needed"),
    [
        (MPICH, {"SLURM_MPI_TYPE": "pmi2"}, OFI),
        (MPICH_TCP, {"SLURM_MPI_TYPE": "pmi2"}, NOLOCAL),
        (OPEN_MPI, {"SLURM_MPI_TYPE": "pmix"}, {}),
        (CRAY, {"SLURM_MPI_TYPE": "pmi2"}, {}),
        # what the user sets stays
        (MPICH, {"FI_PROVIDER": "verbs", "MPIR_CVAR_NOLOCAL": "0"}, {"MPIR_CVAR_CH4_NETMOD": "ofi"}),
    ],
)
def test_what_a_library_needs_is_set_unless_the_user_has_set_it(library, environ, needed):
    assert needed_environment(library, environ) == needed


def test_intel_mpi_gets_the_library_of_the_protocol_that_the_step_offers(tmp_path):
    pmi2 = make_slurm(tmp_path / "a", "lib64/libpmi2.so") | {"SLURM_MPI_TYPE": "pmi2"}
    pmix = make_slurm(tmp_path / "b", "lib/libpmix.so.2") | {"SLURM_MPI_TYPE": "pmix_v4"}
    assert needed_environment(INTEL, pmi2) == {"I_MPI_PMI_LIBRARY": f"{tmp_path}/a/lib64/libpmi2.so"}
    assert needed_environment(INTEL, pmix) == {
        "I_MPI_PMI_LIBRARY": f"{tmp_path}/b/lib/libpmix.so.2",
        "I_MPI_PMI": "pmix",
    }


def test_a_pmi_library_that_the_user_names_comes_before_the_variable_and_must_be_there(tmp_path):
    mine = tmp_path / "libpmi2.so"
    mine.touch()
    environ = {"SLURM_MPI_TYPE": "pmi2", "I_MPI_PMI_LIBRARY": "/nowhere/libpmi2.so", "SLURMD_NODENAME": "n1"}
    assert needed_environment(INTEL, environ, str(mine)) == {"I_MPI_PMI_LIBRARY": str(mine)}
    with pytest.raises(WorldError, match=r"I_MPI_PMI_LIBRARY is /nowhere/libpmi2\.so, and there is no .* on n1\."):
        needed_environment(INTEL, environ)


def test_the_library_beside_srun_is_found_through_a_link_to_srun(tmp_path):
    make_slurm(tmp_path / "slurm-22", "lib/libpmi2.so.0")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/srun").symlink_to(tmp_path / "slurm-22/bin/srun")
    assert find_library("pmi2", {"PATH": f"{tmp_path}/bin"}) == f"{tmp_path}/slurm-22/lib/libpmi2.so.0"


#: Two ranks on n1, three on other nodes. Slurm tells the numbers in the order of the nodes' names.
OUT_OF_ORDER = {
    "SLURM_HET_SIZE": "3",
    "SLURM_JOB_NODELIST_HET_GROUP_0": "n1",
    "SLURM_JOB_NODELIST_HET_GROUP_1": "b1",
    "SLURM_JOB_NODELIST_HET_GROUP_2": "n[2-3]",
    "SLURM_STEP_NODELIST": "b1,n[1-3]",
    "SLURM_STEP_TASKS_PER_NODE": "1,2,1(x2)",
}


@pytest.mark.parametrize("library", [INTEL, OPEN_MPI])
def test_a_library_that_cannot_have_nodes_out_of_order_is_refused(library):
    with pytest.raises(WorldError, match=r"ranks are on n1, b1, n2, n3, in this order\.\n  Next: pip install"):
        check_order(library, OUT_OF_ORDER)


@pytest.mark.parametrize(
    ("library", "environ"),
    [
        (MPICH, OUT_OF_ORDER),
        (CRAY, OUT_OF_ORDER),
        (OPEN_MPI, SRUN_PMIX),
        (INTEL, {"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_JOB_NODELIST": "n[1-2]"}),
        # with as many ranks everywhere, the order makes no difference to Intel MPI
        (INTEL, OUT_OF_ORDER | {"SLURM_STEP_TASKS_PER_NODE": "2(x4)"}),
        # the step leaves the first component out
        (OPEN_MPI, OUT_OF_ORDER | {"SLURM_STEP_NODELIST": "b1,n[2-3]", "SLURM_STEP_TASKS_PER_NODE": "1(x3)"}),
    ],
)
def test_nodes_that_a_library_can_have_are_let_through(library, environ):
    check_order(library, environ)
