"""What one rank sees: its folder, clock, packages, scratch space, GPUs, and who can be reached from it.

Runs on: every rank of the doctor's world, in its event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from snakemake_executor_plugin_daskmpi.rank import roles

#: Packages whose versions have to be the same on all ranks, or one cannot read what another sends.
SAME_EVERYWHERE = (
    *("snakemake-executor-plugin-daskmpi", "snakemake", "distributed", "dask", "dask-mpi", "mpi4py"),
    *("cloudpickle", "msgpack", "tornado"),
)
_GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_JOB_GPUS")
_GPU_DEVICES = ("/dev/nvidia[0-9]*", "/dev/dri/renderD*")

#: Seconds to wait for a file that another rank has written: caches of network file systems last some.
_FOLDER_WAIT_S, _FILE_WAIT_S = 5.0, 20.0
#: Seconds to wait for a connection: within a cluster it takes a millisecond, or is dropped by a firewall.
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Question:
    """What rank 1 asks every rank to look at."""

    #: Folder that rank 1 made in its working directory, relative to that, and the file there to read; "" for none.
    folder: str
    file: str
    #: ``--daskmpi-scratch``.
    scratch: str | None


async def look(question: Question, name: str) -> dict[str, Any]:
    """Return fields of :class:`~.facts.RankFacts`, all but those that only rank 1 can know."""
    # In a thread, since a file system that does not answer must not keep the rank from answering.
    return await asyncio.to_thread(_look, question, name)


def _look(question: Question, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "host": socket.gethostname(),
        "component": roles.own_component(os.environ),
        "cwd": str(Path.cwd()),
        "prefix": sys.prefix,
        "versions": versions(),
        **(shared_folder(question, name) if question.folder else {}),
        **scratch_space(question.scratch),
        **_gpus(),
    }


def clock() -> float:
    """Return this host's time."""
    return time.time()


async def reach(addresses: list[str]) -> dict[str, str]:
    """Return those addresses that cannot be connected to, with the reason."""

    async def trouble(address: str) -> str:
        try:
            where = urlsplit(address)
            connecting = asyncio.open_connection(where.hostname, where.port)
            _, writer = await asyncio.wait_for(connecting, _CONNECT_S)
        except TimeoutError:
            return f"no answer in {_CONNECT_S:.0f} s"
        except OSError as error:
            return error.strerror or str(error)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return ""

    troubles = await asyncio.gather(*(trouble(address) for address in addresses))
    return {address: text for address, text in zip(addresses, troubles, strict=True) if text}


def inc(number: int) -> int:
    """Return a number plus one: the test program's first function."""
    return number + 1


def add(first: int, second: int) -> int:
    """Return a sum: the test program's second function."""
    return first + second


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that have to be the same everywhere."""
    found = {"python": platform.python_version()}
    for package in SAME_EVERYWHERE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def shared_folder(question: Question, name: str) -> dict[str, Any]:
    """Read what rank 1 wrote in the working directory, and write something for it to find."""
    path = Path(question.folder, question.file)
    began = time.monotonic()
    token = _text_of(path)
    # In another folder there will never be one, so it is not waited for as long.
    while not token and time.monotonic() - began < (_FILE_WAIT_S if path.parent.is_dir() else _FOLDER_WAIT_S):
        time.sleep(0.1)
        token = _text_of(path)
    found: dict[str, Any] = {"token": token, "token_after_s": round(time.monotonic() - began, 3)}
    try:
        mine = path.with_name(name.replace(" ", "-"))
        written = time.time()
        mine.write_text(name)
        found["file_offset_s"] = mine.stat().st_mtime - written
    except OSError as error:
        found["write_error"] = f"{error.strerror}: {Path.cwd() / mine}"
    return found


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def scratch_space(asked: str | None) -> dict[str, Any]:
    """Return where temporary files go, how much fits there, and on what kind of file system."""
    folder = Path(os.path.expandvars(asked) if asked else tempfile.gettempdir())
    # It is created where it is missing: what counts is where.
    existing = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), Path("/"))
    found: dict[str, Any] = {
        "scratch": str(folder),
        "scratch_free_mb": shutil.disk_usage(existing).free // 1_000_000,
        "scratch_type": file_system_of(existing, Path("/proc/self/mounts").read_text()),
    }
    if not os.access(existing, os.W_OK | os.X_OK):
        found["scratch_error"] = f"{existing} cannot be written to"
    return found


def file_system_of(folder: Path, mounts: str) -> str:
    r"""Return the type of the file system that a folder is on, from the text of ``/proc/mounts``.

    >>> file_system_of(Path("/scratch/x"), "/dev/sda / ext4 rw 0 0\nfs:/s /scratch nfs4 rw 0 0\n")
    'nfs4'
    """
    real = str(folder.resolve())
    best, kind = "", ""
    for line in mounts.splitlines():
        _, point, fs_type, *_ = line.split()
        # Blanks in names are written as octal numbers.
        point = point.replace(r"\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # Of two on the same place the later one hides the other.
        if inside and len(point) >= len(best):
            best, kind = point, fs_type
    return kind


def _gpus() -> dict[str, Any]:
    devices = [device for pattern in _GPU_DEVICES for device in Path("/").glob(pattern.lstrip("/"))]
    return {
        "gpu_devices": sum(os.access(device, os.R_OK | os.W_OK) for device in devices),
        "gpu_variables": {name: os.environ[name] for name in _GPU_VARIABLES if name in os.environ},
    }
