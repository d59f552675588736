"""Which module may know which: the order of the package, and the limits of its files.

An import counts wherever it stands: at the top, in a function, or under ``TYPE_CHECKING``, since a module knows what
it names. Only one thing depends on the place: slow packages are never imported at the top.
"""

from __future__ import annotations

import ast
import functools
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import snakemake_executor_plugin_daskmpi

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "snakemake_executor_plugin_daskmpi"
FOLDER = Path(snakemake_executor_plugin_daskmpi.__file__).parent

#: Bottom first, folders and the modules beside them: a folder imports only from lines above its own.
LAYERS = (
    {"annotations", "apart", "command_line", "errors", "inherited"},
    {"record", "resources"},
    {"messages"},
    {"settings"},
    {"mpi", "rank", "snakemake_internals"},
    {"placement", "warm"},
    {"slurm", "worker"},
    {"planning", "profile", "report", "view"},
    {"advise"},
    {"world"},
    {"growth", "launch"},
    {"client", "doctor"},
    {"__init__", "cli"},
    {"__main__"},
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
MOST_IN_THE_ROOT = 10

#: Who may import what takes long, starts MPI, or is not made for us, and that only inside functions.
IMPORTERS = {
    "distributed": {
        "world.link",
        "client.worker_streams",
        "rank.stream",
        "worker.rpc",
        "doctor.probe",
        "world.bootstrap",
        "world.dashboard",
        "world.gate",
        "world.scheduler_end",
        "rank.security",
    }
    | {"world.serve", "worker.dask_worker"},
    "dask": {"rank.dask_config", "world.bootstrap", "world.keeper", "rank.security"},
    "dask_mpi": {"world.bootstrap", "world.keeper", "rank.dask_config"},
    "mpi4py": {"world.keeper", "world.meeting"},
    "snakemake": {
        "warm.body",
        "snakemake_internals.evaluated",
        "warm.pickling",
        "snakemake_internals.rebuilt",
        "snakemake_internals.recorded",
        "snakemake_internals.rounds",
        "snakemake_internals.workflows",
        "snakemake_internals.compatibility",
        "snakemake_internals.said",
        "worker.child",
        "worker.forkserver",
        "world.serve",
    },
    "bokeh": {"report.page", "report.plots"},
    "jinja2": {"report.page"},
    "cloudpickle": {"warm.body", "warm.pickling"},
    "psutil": {"client.local_jobs", "client.time_left", "record.liveness", "worker.limits", "world.bootstrap"},
}

#: Who may at its top: Dask itself loads it.
LOADED_BY_DASK = {"worker.dask_worker"}

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


def modules() -> list[str]:
    """Return the package's modules, ``rank.roles`` for ``rank/roles.py``."""
    return sorted(".".join(p.relative_to(FOLDER).with_suffix("").parts) for p in FOLDER.rglob("*.py"))


NAMES = set(modules())


def folder_of(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def source_of(module: str) -> str:
    return FOLDER.joinpath(*module.split(".")).with_suffix(".py").read_text()


@functools.cache
def imports_of(source: str) -> frozenset[Import]:
    """Return what a source imports; of the package itself, the module without the package's name."""
    return frozenset(_imports_in(parsed(source), at_import=True))


def _imports_in(node: ast.AST, *, at_import: bool) -> Iterator[Import]:
    for full in _imported(node):
        name = full.removeprefix(f"{PACKAGE}.") if full != PACKAGE else "__init__"
        while full.startswith(f"{PACKAGE}.") and name not in NAMES and "." in name:
            name = name.rpartition(".")[0]  # a name in a module
        yield Import(name, at_import)
    is_late = isinstance(node, FUNCTIONS) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    for statement in statements_in(node):
        yield from _imports_in(statement, at_import=at_import and not is_late)


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements right below a node; expressions, which are most of a tree, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child


def functions_in(node: ast.AST) -> Iterator[FUNCTIONS]:
    """Yield all functions below a node."""
    for statement in statements_in(node):
        if isinstance(statement, FUNCTIONS):
            yield statement
        yield from functions_in(statement)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def layer_violations(module: str, source: str) -> list[str]:
    """Return the imports of a module from another folder that is not below its own."""
    own = folder_of(module)
    others = {folder_of(i.name) for i in imports_of(source)} & set(LAYER_OF) - {own}
    return [f"{module} imports {other}" for other in sorted(others) if LAYER_OF[other] >= LAYER_OF[own]]


def importer_violations(module: str, source: str) -> list[str]:
    """Return the imports of packages that a module must not import, or not at its top."""
    found = []
    for imported in imports_of(source):
        package = imported.name.partition(".")[0]
        if package in IMPORTERS and module not in IMPORTERS[package]:
            found.append(f"{module} imports {package}")
        elif package in IMPORTERS and imported.at_import and module not in LOADED_BY_DASK:
            found.append(f"{module} imports {package} at its top")
    return found


def test_every_folder_has_a_layer():
    assert {folder_of(module) for module in NAMES} == set(LAYER_OF), "give new folders a layer, and forget old ones"


def test_a_folder_imports_only_from_those_below_it():
    assert [violation for module in sorted(NAMES) for violation in layer_violations(module, source_of(module))] == []


def test_modules_of_a_folder_import_each_other_in_no_circle():
    below = {module: {i.name for i in imports_of(source_of(module))} & NAMES - {module} for module in NAMES}
    # A CycleError names one.
    assert len(list(TopologicalSorter(below).static_order())) == len(NAMES)


def test_the_reading_map_names_each_folder_and_module_beside_them():
    named = set(re.findall(r"^``(\w+)/?``", snakemake_executor_plugin_daskmpi.__doc__ or "", re.MULTILINE))
    assert named == set(LAYER_OF) - {"__init__", "__main__"}


def test_few_modules_lie_beside_the_folders():
    assert len([module for module in NAMES if "." not in module]) <= MOST_IN_THE_ROOT


def test_slow_packages_are_imported_by_few_and_only_when_needed():
    assert [violation for module in modules() for violation in importer_violations(module, source_of(module))] == []


@pytest.mark.parametrize(
    ("module", "line", "violations"),
    [
        ("world.link", f"from {PACKAGE}.worker import rpc", []),
        ("world.link", f"from {PACKAGE} import messages", []),
        ("world.link", f"from {PACKAGE}.messages import JobSpec", []),
        ("world.link", f"from {PACKAGE}.world.keeper import keep", []),
        ("world.link", f"from {PACKAGE}.client.executor import Executor", ["world.link imports client"]),
        ("world.link", f"def f():\n    import {PACKAGE}.client.executor", ["world.link imports client"]),
        ("rank.roles", f"from {PACKAGE}.mpi import pmi", ["rank.roles imports mpi"]),
        ("errors", f"import {PACKAGE}", ["errors imports __init__"]),
    ],
)
def test_the_layers_are_told_apart_whatever_an_import_looks_like(module, line, violations):
    assert layer_violations(module, line) == violations


@pytest.mark.parametrize(
    ("module", "line", "violations"),
    [
        ("world.link", "async def f():\n    from distributed import Client", []),
        ("world.link", "if TYPE_CHECKING:\n    from distributed import Client", []),
        ("world.link", "import distributed.client", ["world.link imports distributed at its top"]),
        ("client.pool", "def f():\n    from mpi4py import MPI", ["client.pool imports mpi4py"]),
        ("client.executor", "from snakemake import jobs", ["client.executor imports snakemake"]),
        ("client.executor", "from snakemake_interface_executor_plugins import jobs", []),
    ],
)
def test_a_slow_import_in_the_wrong_place_is_found(module, line, violations):
    assert importer_violations(module, line) == violations


def test_a_module_says_what_it_is_for_and_where_it_runs():
    docstrings = {module: ast.get_docstring(parsed(source_of(module))) or "" for module in modules()}
    assert [module for module, text in docstrings.items() if not text] == []
    told = {module: text for module, text in docstrings.items() if not module.endswith("__init__")}
    assert [module for module, text in told.items() if "\nRuns on: " not in text] == []


def test_a_file_is_one_thing():
    lines = {module: len(source_of(module).splitlines()) for module in modules()}
    assert {module: count for module, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_a_function_is_one_thing():
    lengths = {
        f"{module}.{node.name}": 1 + (node.end_lineno or 0) - node.lineno
        for module in modules()
        for node in functions_in(parsed(source_of(module)))
    }
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_module_is_a_drawer_for_everything():
    assert not {name.rpartition(".")[2] for name in modules()} & {"utils", "util", "helpers", "common", "misc"}
