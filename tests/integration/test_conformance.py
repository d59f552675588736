"""Snakemake's own conformance tests of executor plugins.

They run twice: in the process of pytest with the local launcher, and in a world of four ranks that
each start pytest with this file, of which only rank 1 gets beyond the first use of the plugin.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from snakemake.common.tests import TestWorkflowsLocalStorageBase

from harness import require
from mpis import MPIS
from snakemake_executor_plugin_daskmpi import ExecutorSettings

if TYPE_CHECKING:
    from harness import Workflow

#: Set in the world that a test of this file starts.
IN_WORLD = "DASKMPI_TEST_CONFORMANCE"

pytestmark = [
    # Snakemake leaves event loops and coroutines to the garbage collector.
    pytest.mark.filterwarnings("default"),
]


class TestConformance(TestWorkflowsLocalStorageBase):
    __test__ = True

    def get_executor(self) -> str:
        return "daskmpi"

    def get_executor_settings(self) -> ExecutorSettings:
        return ExecutorSettings()


@pytest.mark.skipif(IN_WORLD in os.environ, reason="this is the world that this test starts; nothing to lift")
@pytest.mark.parametrize("mpi", MPIS)
def test_snakemakes_conformance_tests_pass_in_a_world(workflow: Workflow, mpi: str):
    require(mpi)
    environ = {**workflow.environ(), **MPIS[mpi].environ, IN_WORLD: "1"}
    tests = [f"{Path(__file__)}::TestConformance"]
    options = ["-v", "-p", "no:cacheprovider", f"--basetemp={workflow.folder}/of-$RANK"]
    # Each rank has a folder of its own: pytest empties the one it is given.
    rank = "RANK=${PMI_RANK:-$OMPI_COMM_WORLD_RANK}"
    program = f'{rank}; exec "{sys.executable}" -m pytest {" ".join(options)} {" ".join(tests)}'
    run = workflow.start_command([str(MPIS[mpi].mpiexec), "-n", "4", "bash", "-c", program], environ)
    run.ends_with(0, timeout_s=120)
    assert run.text.count("2 passed") == 1, run.text
