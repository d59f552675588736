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
from snakemake.common.tests import TestWorkflowsLocalStorageBase, TestWorkflowsMinioPlayStorageBase

from harness import require
from mpis import MPIS, SAMPLED
from servers import S3, require_server
from snakemake_executor_plugin_daskmpi import ExecutorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Workflow

#: Set in the world that a test of this file starts.
IN_WORLD = "DASKMPI_TEST_CONFORMANCE"
#: The address of the S3 server of the tests.
S3_URL = "DASKMPI_TEST_S3"

pytestmark = [
    # Snakemake leaves event loops and coroutines to the garbage collector.
    pytest.mark.filterwarnings("default"),
]


class Daskmpi:
    """What our executor is to each of Snakemake's test classes."""

    __test__ = True

    def get_executor(self) -> str:
        return "daskmpi"

    def get_executor_settings(self) -> ExecutorSettings:
        return ExecutorSettings()


class TestOnSharedFiles(Daskmpi, TestWorkflowsLocalStorageBase):
    pass


class OnS3(Daskmpi, TestWorkflowsMinioPlayStorageBase):
    __test__ = False

    @pytest.fixture(autouse=True)
    def server(self, s3: str) -> None:
        self.url = s3

    @property
    def endpoint_url(self) -> str:
        return self.url


@pytest.mark.nightly
class TestOnS3(OnS3):
    __test__ = True


@pytest.mark.nightly
class TestOnS3WithoutSharedFiles(OnS3):
    __test__ = True

    def get_assume_shared_fs(self) -> bool:
        return False


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Return the address of an S3 server, which is the same in the world that a test starts."""
    if S3_URL in os.environ:
        yield os.environ[S3_URL]
        return
    require_server(S3)
    with S3.running() as url:
        yield url


@pytest.mark.skipif(IN_WORLD in os.environ, reason="this is the world that this test starts; nothing to lift")
@pytest.mark.parametrize("mpi", SAMPLED)
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_snakemakes_conformance_tests_pass_in_a_world(workflow: Workflow, s3: str, mpi: str):
    require(mpi)
    environ = {**workflow.environ(), **MPIS[mpi].environ, IN_WORLD: "1", S3_URL: s3}
    options = ["-v", "-p", "no:cacheprovider", f"--basetemp={workflow.folder}/of-$RANK"]
    # Each rank has a folder of its own: pytest empties the one it is given.
    rank = "RANK=${PMI_RANK:-$OMPI_COMM_WORLD_RANK}"
    # Where files are does not depend on the MPI: S3 with one of them.
    tests, number = (Path(__file__), 6) if mpi == "mpich" else (f"{Path(__file__)}::TestOnSharedFiles", 2)
    program = f'{rank}; exec "{sys.executable}" -m pytest {" ".join(options)} {tests}'
    run = workflow.start_command([str(MPIS[mpi].mpiexec), "-n", "4", "bash", "-c", program], environ)
    run.ends_with(0, timeout_s=540)
    assert run.text.count(f"{number} passed") == 1, run.text
