"""The plugin by Snakemake's Python API, in a script of the user's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from required import at_night

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = """
    rule all:
        input: "out/a.txt", "out/b.txt"

    rule one:
        output: "out/{name}.txt"
        shell: "{config[command]} {wildcards.name} > {output}"
"""

SCRIPT = """
    from pathlib import Path

    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

    with SnakemakeApi(OutputSettings(verbose=True)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(nodes=4),
            config_settings=ConfigSettings(config={"command": "COMMAND"}),
            snakefile=Path("Snakefile"),
        )
        try:
            workflow.dag().execute_workflow(executor="daskmpi"SETTINGS)
        except Exception as error:
            api.print_exception(error)
            print("it raised", type(error).__name__)
        else:
            print("it went on")
"""


@pytest.mark.parametrize(
    "settings",
    [
        ", executor_settings=__import__('snakemake_executor_plugin_daskmpi').ExecutorSettings(workers=2)",
        *at_night([""]),
    ],
)
def test_a_script_runs_a_workflow_and_goes_on(workflow: Workflow, settings: str):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("script.py", SCRIPT.replace("COMMAND", "echo").replace("SETTINGS", settings))
    run = workflow.start_command([sys.executable, "script.py"], workflow.environ())
    run.ends_with(0)
    assert workflow.read("out/a.txt") == "a\n"
    assert "it went on" in run.text
    assert "is spawned" not in run.text


def test_a_script_gets_an_exception_for_a_workflow_that_fails(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("script.py", SCRIPT.replace("COMMAND", "false").replace("SETTINGS", ""))
    run = workflow.start_command([sys.executable, "script.py"], workflow.environ())
    run.ends_with(0)
    assert "it raised WorkflowError" in run.text
    assert "failed on worker rank 2" in run.text
