"""Launchers: the command that starts the ranks."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.launch.launchers import launch, mpiexec_command, mpiexec_of
from snakemake_executor_plugin_daskmpi.rank.roles import LAUNCHED
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    from pathlib import Path


def make_mpiexec(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    script = folder / "mpiexec"
    script.touch()
    script.chmod(0o755)
    return script


def test_the_command_names_the_number_of_ranks_before_the_program():
    command = mpiexec_command(["mpiexec", "--oversubscribe"], 5, ["python", "-m", "snakemake", "it's all"])
    assert command == ["mpiexec", "--oversubscribe", "-n", "5", "python", "-m", "snakemake", "it's all"]


def test_the_mpiexec_that_is_asked_for_is_taken_with_its_options(tmp_path):
    beside, asked = make_mpiexec(tmp_path / "venv"), make_mpiexec(tmp_path / "my mpi")
    command = mpiexec_of(f"'{asked}' --oversubscribe", str(beside.parent / "python"), {})
    assert command == [str(asked), "--oversubscribe"]


def test_an_mpiexec_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LaunchError, match="leave --daskmpi-mpiexec out"):
        mpiexec_of(f"{tmp_path}/mpiexec", str(make_mpiexec(tmp_path / "venv").parent / "python"), {})


def test_the_mpiexec_beside_python_comes_before_the_one_on_path(tmp_path):
    beside, other = make_mpiexec(tmp_path / "venv"), make_mpiexec(tmp_path / "other")
    environ = {"PATH": str(other.parent)}
    assert mpiexec_of(None, str(beside.parent / "python"), environ) == [str(beside)]


def test_without_one_beside_python_the_mpiexec_on_path_is_taken(tmp_path):
    other = make_mpiexec(tmp_path / "other")
    environ = {"PATH": f"{tmp_path}:{other.parent}"}
    assert mpiexec_of(None, str(tmp_path / "venv/python"), environ) == [str(other)]


def test_of_several_mpis_the_mpiexec_of_the_one_that_mpi4py_loads_is_taken(tmp_path):
    """As on Debian, where ``mpiexec`` itself belongs to any of them."""
    folder = make_mpiexec(tmp_path / "bin").parent
    for name in ("mpiexec.mpich", "mpiexec.openmpi"):
        shutil.copy(folder / "mpiexec", folder / name)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'MPICH Version:      4.2.1'\n")
    python.chmod(0o755)
    environ = {"PATH": str(folder)}
    assert mpiexec_of(None, str(python), environ) == [str(folder / "mpiexec.mpich")]
    (folder / "mpiexec.mpich").unlink()
    assert mpiexec_of(None, str(python), environ) == [str(folder / "mpiexec")]


def test_without_any_mpiexec_the_user_is_told_how_to_get_one(tmp_path):
    with pytest.raises(LaunchError, match=r"^There is no mpiexec\.") as raised:
        mpiexec_of(None, str(tmp_path / "venv/python"), {"PATH": str(tmp_path)})
    assert str(raised.value).endswith(
        "\n  Next: pip install 'snakemake-executor-plugin-daskmpi[mpich]', or name one with --daskmpi-mpiexec."
    )


def test_a_process_that_mpiexec_started_never_starts_another(monkeypatch):
    monkeypatch.setenv(LAUNCHED, "mpiexec")
    with pytest.raises(LaunchError, match="not as a rank of an MPI world") as raised:
        launch(Settings(), None, lambda: pytest.fail("let go of what is still needed"))
    assert "--daskmpi-mpiexec" in str(raised.value).rpartition("\n  Next: ")[2]
