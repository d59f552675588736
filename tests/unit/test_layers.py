"""Which module may know which: the order of the package, and the limits of its files.

An import counts wherever it stands: at the top, in a function, or under ``TYPE_CHECKING``, since a module knows what
it names. Only one thing depends on the place: slow packages are never imported at the top.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import snakemake_executor_plugin_daskmpi

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "snakemake_executor_plugin_daskmpi"
FOLDER = Path(snakemake_executor_plugin_daskmpi.__file__).parent

#: Bottom first. A module imports from lines above its own, never from its own line.
LAYERS = (
    # what everyone may raise
    {"errors", "inherited", "sbatch_options"},
    {"annotations"},
    # the vocabulary
    {"apart", "choice", "interruption", "resources", "messages", "slurm.site", "planning.plan", "planning.walltime"},
    {"slurm_settings", "deadline", "world.tuning"},
    {"settings"},
    # one thing each, and pure or close to it
    {"placement.assignment", "placement.capacity", "placement.durations", "placement.refusal"}
    | {"exit_code", "failure", "journal", "last_round", "leaving", "link", "markers", "notes", "rounds"}
    | {"warm.pickling", "warm.recorded", "warm.workflows"}
    | {"worker.cgroup", "worker.ending", "worker.eviction", "worker.lingering", "worker.tail"}
    | {"world.pmi", "world.processes", "world.roles", "world.security"}
    | {"slurm.container", "slurm.recipes"}
    | {"launch.command_line", "slurm.controller", "slurm.output", "slurm.progress", "slurm.step", "slurm.wishes"}
    | {"cli_texts", "report.verdict"},
    # the login node's talk with Slurm, and the job that came of it
    {"comebacks", "drain", "requeue", "warm.evaluated", "worker.slurm_programs"},
    {
        "group_needs",
        "worker.environment",
        "warm.rebuilt",
        "launch.mpi_library",
        "world.farewell",
        "world.order",
        "slurm.queue",
        "slurm.inquiry",
    }
    | {"report.facts", "report.look"},
    {"time_left", "planning.demand", "slurm.reasons", "slurm.record", "slurm.surroundings"}
    | {"report.site_checks", "report.wording"},
    {"slurm.succession"},
    {"slurm.chain", "slurm.profile", "slurm.sbatch"} | {"report.node_checks", "report.world_checks"},
    {"slurm.follow"} | {"report.judge", "report.listing"},
    {"pooled_job", "spawning", "warm.body", "warm.compatibility", "worker.footprint", "worker.group"},
    {
        "placement.shelves",
        "placement.spread",
        "specs",
        "worker.warmth",
        "worker.limits",
        "worker.memory",
        "world.meeting",
    }
    | {"world.rank_log"}
    | {"slurm.batch", "planning.feasibility"},
    # a worker from the inside out; placement is rank 1's, in two steps
    {
        "worker.child",
        "world.keeper",
        "placement.fleet",
        "placement.limit",
        "placement.reservations",
        "planning.grouping",
        "slurm.directives",
    },
    {"placement.placement", "worker.forkserver", "slurm.script", "planning.sizing"},
    {"worker.running"},
    {"worker.runner", "planning.drafts", "planning.forecast"},
    {"placement.grants", "worker.calls"},
    {"dispatch", "roll_call"},
    # rank 1's view of all workers
    {"pool"} | {"planning.components", "planning.remarks", "planning.shortage", "planning.table"},
    # ways to become one world
    {"planning.planner", "world.bootstrap", "world.serve"},
    {"world.prefork"},
    {"launch.local"},
    {"slurm.submission", "report.probe"},
    {"launch.launchers"},
    # what Snakemake calls, and what users call
    {"executor", "report.survey"},
    {"report.doctor"},
    {"cli"},
    {"__init__", "__main__"},
)
#: Folders hold modules and nothing else.
FOLDERS = ("launch", "placement", "planning", "report", "slurm", "warm", "worker", "world")
EMPTY = {f"{folder}.__init__" for folder in FOLDERS}

LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names} | dict.fromkeys(EMPTY, 0)
POOL, EXECUTOR, TOP = LAYER_OF["pool"], LAYER_OF["executor"], LAYER_OF["__init__"]

#: Who may import what takes long, starts MPI, or is not made for us, and that only inside functions.
IMPORTERS = {
    "distributed": {"link", "pooled_job", "report.probe"}
    | {"world.bootstrap", "world.farewell", "world.security", "world.serve"},
    "dask": {"world.tuning", "world.bootstrap", "world.keeper", "world.security"},
    "dask_mpi": {"world.bootstrap", "world.keeper", "world.tuning"},
    "mpi4py": {"world.keeper", "world.meeting"},
    "snakemake": {
        "warm.body",
        "warm.evaluated",
        "warm.pickling",
        "warm.rebuilt",
        "warm.recorded",
        "warm.workflows",
        "warm.compatibility",
        "worker.child",
        "worker.forkserver",
        "world.serve",
    },
    "cloudpickle": {"warm.body", "warm.pickling"},
    "psutil": {"executor", "time_left", "worker.limits", "world.bootstrap"},
}

#: Each source is looked at by several tests.
parsed = functools.cache(ast.parse)

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50


class Import(NamedTuple):
    """One import of one module."""

    name: str
    #: Whether it runs when the importing module is imported.
    at_import: bool


def source_of(module: str) -> str:
    return FOLDER.joinpath(*module.split(".")).with_suffix(".py").read_text()


def imports_of(source: str, names: set[str]) -> Iterator[Import]:
    """Yield what a source imports; of the package itself, the module without the package's name."""
    tree = parsed(source)
    late = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    late += [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    deferred = {id(child) for node in late for child in ast.walk(node)}
    for node in ast.walk(tree):
        for full in _imported(node):
            name = full.removeprefix(f"{PACKAGE}.") if full != PACKAGE else "__init__"
            while full.startswith(f"{PACKAGE}.") and name not in names and "." in name:
                name = name.rpartition(".")[0]  # a name in a module
            yield Import(name, id(node) not in deferred)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def layer_violations(module: str, source: str) -> list[str]:
    """Return the imports of a module from its own layer or one above it."""
    own = LAYER_OF[module]
    inside = {i.name for i in imports_of(source, set(LAYER_OF)) if i.name in LAYER_OF}
    return [f"{module} ({own}) imports {n} ({LAYER_OF[n]})" for n in sorted(inside) if LAYER_OF[n] >= own]


def importer_violations(module: str, source: str) -> list[str]:
    """Return the imports of packages that a module must not import, or not at its top."""
    found = []
    for imported in imports_of(source, set(LAYER_OF)):
        package = imported.name.partition(".")[0]
        if package in IMPORTERS and module not in IMPORTERS[package]:
            found.append(f"{module} imports {package}")
        elif package in IMPORTERS and imported.at_import:
            found.append(f"{module} imports {package} at its top")
    return found


def modules() -> list[str]:
    """Return the package's modules, ``world.roles`` for ``world/roles.py``."""
    return sorted(".".join(p.relative_to(FOLDER).with_suffix("").parts) for p in FOLDER.rglob("*.py"))


def test_every_module_has_a_layer():
    assert set(modules()) == set(LAYER_OF), "give new modules a layer in this test, and forget old ones"


def test_a_module_imports_only_from_layers_below_its_own():
    assert [violation for module in modules() for violation in layer_violations(module, source_of(module))] == []


def test_slow_packages_are_imported_by_few_and_only_when_needed():
    assert [violation for module in modules() for violation in importer_violations(module, source_of(module))] == []


@pytest.mark.parametrize(
    ("module", "line", "violations"),
    [
        ("pool", f"from {PACKAGE}.worker import calls", []),
        ("pool", f"from {PACKAGE} import messages", []),
        ("pool", f"from {PACKAGE}.messages import JobSpec", []),
        ("pool", f"from {PACKAGE}.executor import Executor", [f"pool ({POOL}) imports executor ({EXECUTOR})"]),
        ("pool", f"def f():\n    import {PACKAGE}.executor", [f"pool ({POOL}) imports executor ({EXECUTOR})"]),
        ("messages", f"from {PACKAGE} import resources", ["messages (2) imports resources (2)"]),
        ("errors", f"import {PACKAGE}", [f"errors (0) imports __init__ ({TOP})"]),
    ],
)
def test_the_layers_are_told_apart_whatever_an_import_looks_like(module, line, violations):
    assert layer_violations(module, line) == violations


@pytest.mark.parametrize(
    ("module", "line", "violations"),
    [
        ("link", "async def f():\n    from distributed import Client", []),
        ("link", "if TYPE_CHECKING:\n    from distributed import Client", []),
        ("link", "import distributed.client", ["link imports distributed at its top"]),
        ("pool", "def f():\n    from mpi4py import MPI", ["pool imports mpi4py"]),
        ("executor", "from snakemake import jobs", ["executor imports snakemake"]),
        ("executor", "from snakemake_interface_executor_plugins import jobs", []),
    ],
)
def test_a_slow_import_in_the_wrong_place_is_found(module, line, violations):
    assert importer_violations(module, line) == violations


def test_a_module_says_what_it_is_for_where_it_runs_and_who_calls_it():
    docstrings = {module: ast.get_docstring(parsed(source_of(module))) or "" for module in modules()}
    assert [module for module, text in docstrings.items() if not text] == []
    told = {module: text for module, text in docstrings.items() if module not in EMPTY | {"__init__"}}
    assert [m for m, text in told.items() if "\nRuns on: " not in text or "\nCalled by: " not in text] == []


def test_a_file_is_one_thing():
    lines = {module: len(source_of(module).splitlines()) for module in modules()}
    assert {module: count for module, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_a_function_is_one_thing():
    lengths = {
        f"{module}.{node.name}": 1 + (node.end_lineno or 0) - node.lineno
        for module in modules()
        for node in ast.walk(parsed(source_of(module)))
        if isinstance(node, FUNCTIONS)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_module_is_a_drawer_for_everything():
    assert not {name.rpartition(".")[2] for name in modules()} & {"utils", "util", "helpers", "common", "misc"}
