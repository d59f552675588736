"""Importing the package costs nothing: Snakemake imports every installed plugin at every start."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json, os, sys, threading
before = set(sys.modules)
descriptors = set(os.listdir("/proc/self/fd"))
import snakemake_executor_plugin_daskmpi
try:
    os.waitpid(-1, os.WNOHANG)
    has_child = True
except ChildProcessError:
    has_child = False
print(json.dumps({
    "modules": sorted(set(sys.modules) - before),
    "threads": [thread.name for thread in threading.enumerate()],
    "kernel_threads": len(os.listdir("/proc/self/task")),
    "has_child": has_child,
    "descriptors": sorted(set(os.listdir("/proc/self/fd")) - descriptors),
}))
"""


@pytest.fixture(scope="module")
def after_import() -> dict[str, Any]:
    """What a fresh Python is after it has imported the package."""
    ran = subprocess.run([sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def test_of_other_packages_it_imports_nothing_but_snakemakes_interfaces(after_import):
    packages = {name.partition(".")[0] for name in after_import["modules"]}
    foreign = packages - sys.stdlib_module_names - {"snakemake_executor_plugin_daskmpi"}
    # multiprocessing gives __main__ this second name.
    assert foreign - {"__mp_main__"} == {"snakemake_interface_common", "snakemake_interface_executor_plugins"}


@pytest.mark.parametrize("package", ["distributed", "dask", "mpi4py", "dask_mpi", "snakemake", "cloudpickle", "psutil"])
def test_it_leaves_the_import_of_a_slow_package_to_whoever_needs_it(after_import, package):
    assert package not in after_import["modules"]


@pytest.mark.parametrize("folder", ["launch", "planning", "slurm.script", "doctor", "profile"])
def test_ranks_do_without_what_only_a_login_node_needs(after_import, folder):
    assert not [name for name in after_import["modules"] if f"daskmpi.{folder}" in name]


def test_it_starts_no_thread(after_import):
    assert after_import["threads"] == ["MainThread"]
    assert after_import["kernel_threads"] == 1


def test_it_starts_no_process(after_import):
    assert not after_import["has_child"]


def test_it_opens_no_file(after_import):
    assert after_import["descriptors"] == []


def test_the_program_imports_nothing_slow_and_is_there_as_a_module_too():
    program = (
        "import json, sys, snakemake_executor_plugin_daskmpi.cli as cli;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    slow = {"distributed", "dask", "dask_mpi", "mpi4py", "snakemake", "cloudpickle", "psutil", "packaging"}
    assert slow & set(json.loads(ran.stdout)) == set()
    module = [sys.executable, "-P", "-m", "snakemake_executor_plugin_daskmpi", "--version"]
    ran = subprocess.run(module, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.startswith("snakemake-daskmpi ")
