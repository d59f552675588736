"""Keep this package's imports and the user's apart, although they share a process.

Runs on: rank 1, and each process that serves Dask.

Snakemake puts the Snakefile's folder first in ``sys.path``, and ``python -m`` puts the working directory there. If that
folder has a ``dask.py``, a Snakefile that imports ``dask`` gets it, as it would with Snakemake's own executor; this
package must never get it. But a process has one table of modules, ``sys.modules``, which is searched before any folder.
So two things are done. While this package imports something, modules of the same names that the user has imported are
put aside. At all other times, those of our modules that a file of the user's shadows are taken out of the table: only
the topmost name of a package, since Dask imports its submodules while it runs, and pickles name them. Where nothing is
shadowed, as nearly everywhere, nothing is taken out, and both share their modules.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType, ModuleType

_PACKAGE = __name__.partition(".")[0]

#: Where our imports look; empty until remembered.
_path: list[str] = []
#: Modules that were there when the path was remembered: no Snakefile had been read.
_known: set[str] = set()
#: Modules that we were the first to import.
_ours: dict[str, ModuleType] = {}
#: Topmost names of those that files of the user's shadow.
_shadowed: set[str] = set()
_lock = threading.RLock()
_is_importing = _is_alone = False


def remember_path() -> None:
    """Remember the search path as it was before any Snakefile changed it. Only the first call counts."""
    if not _path:
        _path.extend(entry for entry in sys.path if not _is_users(entry))
        _known.update(sys.modules)


def _is_users(entry: str) -> bool:
    """Say whether a folder is in the path as the working directory, or as that of the program that was started."""
    folder = Path(entry).resolve()
    if folder == Path(__file__).resolve().parents[1]:
        return False  # the source folder of an editable installation
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    is_programs = not sys.flags.safe_path and entry == sys.path[0] and main and folder == Path(main).resolve().parent
    return bool(folder == Path.cwd() or is_programs)


def only_ours() -> None:
    """Never again import from a folder of the user's: this process runs no user code."""
    global _is_alone  # noqa: PLW0603 - a process has one table of modules
    remember_path()
    sys.path[:] = _path
    _is_alone = True


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """Import from no folder of the user's, whatever the user has imported by the same name.

    One thread at a time. Imports of other threads meanwhile are found in the same way.
    """
    global _is_importing  # noqa: PLW0603
    with _lock:
        if _is_importing or _is_alone:
            yield
            return
        path, _is_importing = list(sys.path), True
        theirs = _put_aside()
        sys.modules.update(_ours)
        before = set(sys.modules)
        sys.path[:] = _path or path
        try:
            yield
        finally:
            sys.path[:] = path
            if not isinstance(sys.path, _Path):
                sys.path = _Path(sys.path)
            _ours.update({name: sys.modules[name] for name in set(sys.modules) - before if _is_from_file(name)})
            sys.modules.update(theirs)
            _is_importing = False
            _take_out_shadowed()


def _put_aside() -> dict[str, ModuleType]:
    """Take the user's modules out of the table that shadow ours, and return them."""
    theirs = {name: sys.modules[name] for name, module in _ours.items() if sys.modules.get(name, module) is not module}
    for top in _topmost(set(sys.modules) - _known - set(_ours)):
        if _is_from_file(top) and not _is_found(sys.modules[top], PathFinder.find_spec(top, _path or None)):
            theirs |= {name: module for name, module in sys.modules.items() if name.partition(".")[0] == top}
    for name in theirs:
        del sys.modules[name]
    return theirs


def _take_out_shadowed() -> None:
    """Take those modules of ours out of the table in whose place the user's path has others."""
    for top in _topmost(_ours):
        found = PathFinder.find_spec(top)
        if _is_found(_ours[top], found):
            continue
        _shadowed.add(top)
        folders = found.submodule_search_locations if found else None
        # The user's package brings its own submodules; submodules that it lacks are looked for by our code alone.
        inner = [name for name in _ours if name.rpartition(".")[0] == top and PathFinder.find_spec(name, folders or [])]
        for name in (top, *inner):
            if sys.modules.get(name) is _ours[name]:
                del sys.modules[name]
    if _shadowed and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _topmost(names: Iterable[str]) -> list[str]:
    return [name for name in names if "." not in name]


def _is_from_file(name: str) -> bool:
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec is not None and spec.has_location


def _is_found(module: ModuleType, spec: ModuleSpec | None) -> bool:
    """Say whether a search has found a module's own file, or nothing."""
    own = module.__spec__
    return spec is None or own is None or spec.origin is None or spec.origin == own.origin


class _Path(list[str]):
    """``sys.path``, which notices that a folder is added, as Snakemake does before it reads a Snakefile."""

    def insert(self, index: SupportsIndex, entry: str) -> None:
        """Add a folder."""
        super().insert(index, entry)
        _take_out_shadowed()

    def append(self, entry: str) -> None:
        """Add a folder."""
        super().append(entry)
        _take_out_shadowed()


class _Finder:
    """Gives a module that was taken out to code of ours that imports it while it runs."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module of ours; leave all else to the other finders."""
        if name in _shadowed and _is_asked_by_us(sys._getframe(1)):  # noqa: SLF001 - nothing else knows who asks
            return spec_from_loader(name, _Giver(_ours[name]), is_package=hasattr(_ours[name], "__path__"))
        return None


class _Giver(Loader):
    """A loader that loads nothing: the module is there."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Return it."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it was."""
        module.__spec__ = self._spec


_FINDER = _Finder()


def _is_asked_by_us(frame: FrameType | None) -> bool:
    """Say whether code of ours, or of what we have imported, imports something."""
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("importlib."):
        frame = frame.f_back
    if frame is None:
        return False
    name = str(frame.f_globals.get("__name__", ""))
    module = _ours.get(name)
    return name.partition(".")[0] == _PACKAGE or (module is not None and vars(module) is frame.f_globals)
