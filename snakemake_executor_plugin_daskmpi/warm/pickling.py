"""Pickle what bodies get: parameters may be any Python object.

Runs on: rank 1 (``dumps``) and in the forkserver of ranks >= 2 (``class_of_snakefile``, while unpickling).
Called by: warm.body.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

#: In the forkserver: what the Snakefile defined.
snakefile_globals: dict[str, Any] = {}


def dumps(obj: Any, plain: type) -> bytes:
    """Pickle by the standard library's fast pickler if it can, else by cloudpickle (lambdas, closures).

    Parameters
    ----------
    plain
        A subclass of ``str`` whose objects become plain strings: Snakemake's files, each of which drags its rule,
        and with it the whole workflow, along.

    Raises
    ------
    Exception
        Whatever an object raises that cannot be pickled at all.
    """
    import cloudpickle

    def reduced(part: Any) -> Any:
        if isinstance(part, plain):
            return str, (str(part),)
        # Classes of the Snakefile say of no module that they are in it; the worker has them too.
        if isinstance(part, type) and part.__module__ is None:
            return class_of_snakefile, (part.__qualname__,)
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


def class_of_snakefile(name: str) -> type:
    """Return a class that the Snakefile of this forkserver defined; KeyError if it did not."""
    found: type = snakefile_globals[name]
    return found


def _pickled(pickler: type[pickle.Pickler], obj: Any) -> bytes:
    buffer = io.BytesIO()
    pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(obj)
    return buffer.getvalue()
