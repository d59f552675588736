"""What each MPI library needs to meet under ``srun``, and what keeps it from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.mpi.pmi import check, find_library, needed_environment

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
