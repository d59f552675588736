"""Bootstrap, as far as it goes without MPI: worlds that are too small, and who shares a host."""

from __future__ import annotations

import pytest

from environments import RANKS, SRUN_PMIX
from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.rank.job_environment import is_rank_variable
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.worker.limits import Share, share_of
from snakemake_executor_plugin_daskmpi.world import bootstrap


@pytest.fixture
def alone(monkeypatch) -> pytest.MonkeyPatch:
    """This process is no rank, whoever started it."""
    for name in {name for environ in RANKS.values() for name in environ if is_rank_variable(name)}:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_process_that_stands_alone_enters_no_world(alone):  # noqa: ARG001
    bootstrap.enter_world(Settings())
    assert bootstrap.current_world() is None


@pytest.mark.parametrize(("size", "ranks"), [(1, "1 rank"), (2, "2 ranks")])
def test_a_world_that_mpiexec_made_too_small_is_refused(alone, size, ranks):
    alone.setenv("PMI_RANK", str(size - 1))
    alone.setenv("PMI_SIZE", str(size))
    with pytest.raises(WorldError, match=f"^The MPI world has {ranks}; daskmpi needs at least 3 ") as raised:
        bootstrap.enter_world(Settings())
    assert str(raised.value).endswith("\n  Next: mpiexec -n 3 …, or leave MPI out with --daskmpi-launcher local.")


def test_a_world_that_srun_made_too_small_is_refused(alone):
    for name, value in (SRUN_PMIX | {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}).items():
        if is_rank_variable(name):
            alone.setenv(name, value)
    with pytest.raises(WorldError, match=r"\n  Seen: srun started 2 on ") as raised:
        bootstrap.enter_world(Settings())
    assert str(raised.value).endswith("\n  Next: srun -n 3 …, or leave MPI out with --daskmpi-launcher local.")


def test_workers_share_their_host_with_other_workers_only():
    hosts = ["a", "a", "a", "b", "b", "b"]
    shares = [share_of(rank, hosts) for rank in range(2, 6)]
    assert shares == [Share(0, 1, others=2), Share(0, 3), Share(1, 3), Share(2, 3)]
