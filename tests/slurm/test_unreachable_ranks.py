"""Ranks of several nodes that cannot reach each other end with one message besides those of MPI, and no tracebacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SCRIPT = """\
    #!/bin/bash
    #SBATCH --nodes=2 --ntasks=4 --ntasks-per-node=2 --cpus-per-task=1 --mem-per-cpu=512
    srun --mpi={type} python -m snakemake --executor daskmpi --jobs unlimited
    """


@pytest.mark.parametrize(
    ("mpi", "type_", "environ"),
    [
        # Each rank is ended while it starts.
        ("mpich", "pmi2", {"MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "none"}),
        # Its ranks have started then, and the first call of theirs fails.
        *at_night([("openmpi", "pmix", {"OMPI_MCA_btl": "self,sm"})]),
    ],
)
def test_one_rank_says_what_to_do(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    mpi: str,
    type_: str,
    environ: dict[str, str],
):
    require(mpi)
    workflow.write("Snakefile", 'rule all:\n    output: "out"\n    shell: "touch {output}"\n')
    workflow.killed = True
    run = workflow.sbatch(SCRIPT.format(type=type_), env={**MPIS[mpi].environ, **environ})
    assert run.wait(120) != 0
    assert run.text.count("The MPI ranks were ended before they had met.") == 1, run.text
    assert "If it is the network: a firewall, or a network interface that leads nowhere" in run.text
    assert "Traceback" not in run.text
    assert not workflow.has("out")
