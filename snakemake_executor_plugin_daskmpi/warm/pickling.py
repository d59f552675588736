"""Pickle what bodies get: parameters may be any Python object.

Runs on: rank 1 (``dumps``) and in the processes of jobs on ranks >= 2 (``class_of_snakefile``, while unpickling).
Called by: warm.body.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: In a process that has parsed the Snakefile: what that defined. No copy, which would keep it all at the process's end.
_snakefile: dict[str, Any] = {}


def dumps(obj: Any, reduce_class: Callable[[type], Any]) -> bytes:
    """Pickle by the standard library's fast pickler if it can, else by cloudpickle (lambdas, closures).

    Snakemake's files become plain strings: each of them drags its rule, and with it the whole workflow, along.

    Parameters
    ----------
    reduce_class
        What is to become of a class of the Snakefile, which says of no module that it is in it.

    Raises
    ------
    Exception
        Whatever an object raises that cannot be pickled at all.
    """
    import cloudpickle
    from snakemake.io import _IOFile

    def reduced(part: Any) -> Any:
        if isinstance(part, _IOFile):
            return str, (str(part),)
        if isinstance(part, type) and part.__module__ is None:
            return reduce_class(part)
        return NotImplemented

    class Fast(pickle.Pickler):
        def reducer_override(self, part: Any) -> Any:
            return reduced(part)

    class Thorough(cloudpickle.Pickler):
        def reducer_override(self, part: Any) -> Any:
            short = reduced(part)
            return super().reducer_override(part) if short is NotImplemented else short

    try:
        return _pickled(Fast, obj)
    except Exception:  # noqa: BLE001 - a raise of the second attempt is the outcome
        return _pickled(Thorough, obj)


def class_of_snakefile_by_name(part: type) -> Any:
    """Let a process that has parsed the Snakefile look a class up."""
    return class_of_snakefile, (part.__qualname__,)


def no_class_of_snakefile(part: type) -> Any:
    """Refuse a class that a process without the Snakefile does not have."""
    raise pickle.PicklingError(f"{part.__qualname__} is a class of the Snakefile")


def know_snakefile(names: dict[str, Any]) -> None:
    """Take what the Snakefile of this process has defined."""
    global _snakefile  # noqa: PLW0603 - pickle calls functions, not objects, by reference
    _snakefile = names


def class_of_snakefile(name: str) -> type:
    """Return a class that the Snakefile of this process defined; KeyError if it did not."""
    found: type = _snakefile[name]
    return found


def _pickled(pickler: type[pickle.Pickler], obj: Any) -> bytes:
    buffer = io.BytesIO()
    pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(obj)
    return buffer.getvalue()
