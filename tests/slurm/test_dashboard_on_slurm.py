"""Dask's dashboard in a Slurm job: its output tells how to get there from elsewhere, and not what lets one in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from submissions import submit

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
    rule one:
        output: "out"
        resources: mem_mb=100, runtime=1
        shell: "cat .snakemake/daskmpi/*/dashboard > address; python ask.py > {output}"
    """
#: Asks for the page from a worker's node. All nodes of the tests' cluster have this machine's loopback interface.
ASK = """\
    from urllib.request import urlopen

    print(urlopen(open("address").readline().strip()).status)
    """


def test_the_output_of_the_job_says_how_to_reach_the_dashboard(workflow: Workflow, slurm: SlurmCluster):
    assert slurm
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("ask.py", ASK)
    run = submit(workflow, "--daskmpi-dashboard")
    run.ends_with(0)
    assert workflow.read("out") == "200\n"
    page = urlsplit(workflow.read("address").splitlines()[0])
    tunnel = re.search(r"from elsewhere, first: ssh -L (\d+):127\.0\.0\.1:\1 (\S+)", run.text)
    assert tunnel, run.text
    assert int(tunnel[1]) == page.port
    assert f"it answers on {tunnel[2]} only" in run.text
    assert page.path.split("/")[1] not in run.text
