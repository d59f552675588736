"""Pickle what bodies get: parameters may be any Python object.

Runs on: rank 1 (``dumps``) and in the processes of jobs on ranks >= 2 (``class_of_snakefile``, while unpickling).
"""

from __future__ import annotations

import functools
import io
import pickle
from types import FunctionType
from typing import Any

from snakemake_executor_plugin_daskmpi import inherited

#: In a process that has parsed the Snakefile: what that defined. No copy, which would keep it all at the process's end.
_snakefile: dict[str, Any] = {}


def dumps(obj: Any, *, parsed: bool, users_modules: bool = True) -> bytes:
    """Pickle by the standard library's fast pickler if it can, else by cloudpickle (lambdas, closures).

    Snakemake's files become plain strings: each of them drags its rule, and with it the whole workflow, along.

    Parameters
    ----------
    parsed
        Whether the process that unpickles it has parsed the Snakefile, and so has what that defines. Else its classes
        and functions are refused.
    users_modules
        Whether it may import modules of the user's for that. Else their classes and functions are refused, too.

    Raises
    ------
    Exception
        Whatever an object raises that cannot be pickled at all.
    """
    fast, thorough = _picklers()
    try:
        return _pickled(fast, obj, parsed=parsed, users_modules=users_modules)
    except Exception:  # noqa: BLE001 - a raise of the second attempt is the outcome
        return _pickled(thorough, obj, parsed=parsed, users_modules=users_modules)


@functools.cache
def _picklers() -> tuple[type[pickle.Pickler], type[pickle.Pickler]]:
    """Return the fast and the thorough one, made once: a class takes longer to make than a job to pickle."""
    import cloudpickle
    from snakemake.io import _IOFile

    def reduced(part: Any, pickler: Any) -> Any:
        if isinstance(part, _IOFile):
            return str, (str(part),)
        if isinstance(part, (type, FunctionType)):
            # What the Snakefile defines belongs to no module.
            if part.__module__ is None and not pickler.parsed:
                raise pickle.PicklingError(f"{part.__qualname__} is defined in the Snakefile")
            may_import = part.__module__ is None or pickler.users_modules or inherited.is_everywhere(part.__module__)
            if not may_import:
                raise pickle.PicklingError(f"{part.__qualname__} is of a module of the user's")
            if isinstance(part, type) and part.__module__ is None:
                return class_of_snakefile, (part.__qualname__,)
        return NotImplemented

    class Fast(pickle.Pickler):
        def reducer_override(self, part: Any) -> Any:
            return reduced(part, self)

    class Thorough(cloudpickle.Pickler):
        def reducer_override(self, part: Any) -> Any:
            short = reduced(part, self)
            return super().reducer_override(part) if short is NotImplemented else short

    return Fast, Thorough


def _pickled(pickler_class: Any, obj: Any, *, parsed: bool, users_modules: bool) -> bytes:
    buffer = io.BytesIO()
    pickler = pickler_class(buffer, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.parsed, pickler.users_modules = parsed, users_modules
    pickler.dump(obj)
    return buffer.getvalue()


def know_snakefile(names: dict[str, Any]) -> None:
    """Take what the Snakefile of this process has defined."""
    global _snakefile  # noqa: PLW0603 - pickle calls functions, not objects, by reference
    _snakefile = names


def class_of_snakefile(name: str) -> type:
    """Return a class that the Snakefile of this process defined; KeyError if it did not."""
    found: type = _snakefile[name]
    return found
