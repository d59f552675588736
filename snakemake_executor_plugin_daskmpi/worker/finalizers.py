"""Finalizers are called while all that they use is there.

Runs on: the process of a ``run`` body, at its end.

Python clears a module that something still refers to name by name when a program ends, and a finalizer that uses a
global then finds None. What a Snakefile defines lies in a module of Snakemake's. In a process of Snakemake's own,
nothing refers to that at the end, so the garbage collector takes all of it at once, and calls finalizers before it
takes anything. In a fork of ours, what it was born with does refer to it. So the collector's first step is done here.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import traceback
from types import GeneratorType

#: Of ``type.__flags__``: its objects are known to the garbage collector (``Py_TPFLAGS_HAVE_GC``).
_IS_TRACKED = 1 << 14


def call_finalizers() -> None:
    """Call ``__del__`` and the ``finally`` of suspended generators, once for each object made since the last fork.

    What a process was born with, and has frozen (:func:`gc.freeze`), is not looked at.
    """
    # The oldest first, as the collector does.
    objects = [thing for generation in (2, 1, 0) for thing in gc.get_objects(generation)]
    made_here = {id(thing) for thing in objects if isinstance(thing, type)}
    called: set[type] = set()
    for thing in objects:
        try:
            if isinstance(thing, GeneratorType):
                thing.close()
            elif (owner := _owner_of_finalizer(type(thing))) is not None and id(owner) in made_here:
                owner.__del__(thing)  # type: ignore[attr-defined]
                called.add(owner)
        except BaseException:  # noqa: BLE001 - as Python itself: said, and no reason to skip the rest
            print(f"Exception ignored in the finalizer of a {type(thing).__name__}:", file=sys.stderr)
            traceback.print_exc()
    for owner in called:
        with contextlib.suppress(TypeError, AttributeError):  # its metaclass forbids it: then it is called again
            del owner.__del__  # type: ignore[attr-defined]


def _owner_of_finalizer(kind: type) -> type | None:
    """Return the class from which a tracked kind of objects has its ``__del__``, None if there is none."""
    if not kind.__flags__ & _IS_TRACKED:
        return None
    return next((base for base in kind.__mro__ if "__del__" in vars(base)), None)
