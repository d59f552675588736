"""What differs between what runs of one workflow have left, and why it may.

Runs on: the machine of the tests.
Called by: compare.

A cause is what, taken out of both files, makes them the same: it is seen, not proved. Numbers are taken out last, since
results are numbers: where two runs of one executor have the same ones, they are no explanation.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: What Snakemake keeps for itself, and what Python leaves beside sources.
APART = {".snakemake", "__pycache__"}
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DATES = rb"\d{4}-\d\d-\d\d|\d\d?:\d\d(:\d\d)?([.,]\d+)?|\b(%s)[a-z]* +\d\d?\b|\d+(\.\d+)? ?(s|sec|seconds|ms)\b"
_DATE = re.compile(_DATES % _MONTHS.encode())
_NUMBER = re.compile(rb"(?i:\b[0-9a-f-]{8,}\b)|\d+(\.\d+)?(e[+-]?\d+)?")
_NAME = re.compile(rb"\btmp\w+|\b(?=[a-z_]*[0-9])[a-z0-9_]{8,12}\b")


@dataclass(slots=True)
class Left:
    """What a run has left in a folder."""

    folder: Path
    #: By path below the folder.
    files: dict[str, Path]

    @classmethod
    def of(cls, folder: Path) -> Left:
        """Return what is in a folder."""
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not APART.intersection(path.parts))
        return cls(folder, {str(path.relative_to(folder)): path for path in paths})

    def content(self, name: str) -> bytes:
        """Return what a file says, unpacked, without the name of this folder."""
        return _unpacked(self.files[name]).replace(bytes(self.folder), b"FOLDER")


def differing(one: Left, other: Left) -> list[str]:
    """Return the names of files that differ, in content or in being there."""
    names = one.files.keys() | other.files.keys()
    return sorted(name for name in names if _bytes(one, name) != _bytes(other, name))


def cause(one: Left, other: Left, name: str) -> str:
    """Return why a file may differ between two runs."""
    for left in (one, other):
        if name not in left.files:
            return f"not in {left.folder.name}"
    a, b = one.content(name), other.content(name)
    if a == b:
        return _PACKED
    for what, without in _CAUSES:
        a, b = without(a), without(b)
        if a == b:
            return what
    return "its content"


def missing_lines(one: Left, again: Left, other: Left, name: str) -> list[str]:
    """Return lines in which two runs agree, and which a third has not, though all have the file."""
    if any(name not in left.files for left in (one, again, other)):
        return []
    lines = [set(_without_times(left.content(name)).splitlines()) for left in (one, again, other)]
    return sorted(line.decode(errors="replace") for line in (lines[0] & lines[1]) - lines[2])


def _bytes(left: Left, name: str) -> bytes | None:
    return left.files[name].read_bytes() if name in left.files else None


def _unpacked(path: Path) -> bytes:
    """Return a file's content; BAM is gzip, too."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return b"\n".join(name.encode() + b"\n" + archive.read(name) for name in sorted(archive.namelist()))
    return content


def _without_times(content: bytes) -> bytes:
    return _DATE.sub(b"TIME", content)


def _without_order(content: bytes) -> bytes:
    return b"\n".join(sorted(content.splitlines()))


def _without_names(content: bytes) -> bytes:
    return _NAME.sub(b"NAME", content)


def _without_numbers(content: bytes) -> bytes:
    return _without_order(_NUMBER.sub(b"N", content))


_PACKED = "how it is packed, or the folder's name"
#: Each on top of those before it.
_CAUSES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("dates and times", _without_times),
    ("the order of lines", _without_order),
    ("names of temporary files", _without_names),
    ("numbers", _without_numbers),
)
#: What need not be explained where two runs of one executor are the same: time has gone on, and processes took turns.
HARMLESS = {_PACKED, *(what for what, _ in _CAUSES[:-1])}
