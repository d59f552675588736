"""What annotations written for ``sbatch`` ask for: the texts of ``gres`` and ``slurm_extra``, read as numbers.

Runs on: rank 1, the login node. Pure.

Only what has a meaning without Slurm, too, is read: GPUs, CPUs, memory, time and tasks. All else is kept as the text
that it is, for ``sbatch``.
"""

from __future__ import annotations

import functools
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


@dataclass(frozen=True, slots=True)
class Options:
    """What options of ``sbatch`` ask for; 0 or "" where they say nothing."""

    gpus: int = 0
    gpus_per_task: int = 0
    gpu_model: str = ""
    cpus_per_task: int = 0
    cpus_per_gpu: int = 0
    mem_mb: int = 0
    mem_mb_per_cpu: int = 0
    mem_mb_per_gpu: int = 0
    runtime_min: int = 0
    tasks: int = 0
    tasks_per_node: int = 0
    #: What is left.
    rest: str = ""


@functools.cache
def gres_of(text: str) -> Options:
    """Read a list of generic resources.

    >>> found = gres_of("gpu:a100:2,lscratch:10")
    >>> found.gpus, found.gpu_model, found.rest
    (2, 'a100', 'lscratch:10')
    >>> [gres_of(text).gpus for text in ("gpu", "gpu:2", "'gpu:1'", "gres/gpu=3", "gpu:v100", "gpu:1,gpu:t4:1", "x:1")]
    [1, 2, 1, 3, 1, 2, 0]
    """
    entries = [entry.strip() for entry in _unquoted(text).split(",")]
    counts, models, rest = [], set(), []
    for entry in entries:
        name, *details = re.split("[:=]", re.sub("^gres[:/]", "", entry))
        if name != "gpu":
            rest.append(entry)
            continue
        number = details.pop() if details and details[-1].isdecimal() else "1"
        counts.append(int(number[:9]))
        models.update(details[:1])
    if not counts:
        return Options(rest=text)
    # Of two models, Slurm has to say which.
    model = models.pop() if len(models) == 1 else ""
    return Options(gpus=sum(counts), gpu_model=model, rest=",".join(rest))


@functools.cache
def extra_of(text: str) -> Options:
    """Read further arguments of ``sbatch``; the last one of a kind counts, as it does for ``sbatch``.

    >>> found = extra_of("'--gres=gpu:a100:1 --nice=100 -c 4 --mem 2G'")
    >>> found.gpus, found.gpu_model, found.cpus_per_task, found.mem_mb, found.rest
    (1, 'a100', 4, 2048, '--nice=100')
    >>> extra_of("-G2").gpus, extra_of("--gpus a100:2").gpus, extra_of("--gpus-per-task=1").gpus_per_task
    (2, 2, 1)
    >>> extra_of("--time=1-12:30").runtime_min
    2190
    """
    try:
        words = shlex.split(_unquoted(text))
    except ValueError:  # for sbatch, or the plan, to refuse
        return Options(rest=text)
    found, rest = Options(), []
    while words:
        word = words.pop(0)
        name, value, is_next = _option(word, words)
        read = _READERS.get(name)
        taken = read(found, value) if read and value else None
        if taken is None:
            rest.append(word)
            continue
        found = taken
        if is_next:
            words.pop(0)
    if found == Options():
        return Options(rest=text)
    return replace(found, rest=shlex.join([f"--gres={found.rest}", *rest] if found.rest else rest))


def _unquoted(text: str) -> str:
    """Return a text without quotes around all of it, which profiles need."""
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in text[1:-1]
    return text[1:-1].strip() if quoted else text


def _option(word: str, following: list[str]) -> tuple[str, str, bool]:
    """Return the name and value of an option, and whether the value is the word that follows."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
    else:
        name, equals, value = word[:2], word[2:], word[2:]
    return (name, value, False) if equals else (name, next(iter(following), ""), True)


def _with(found: Options, field: str, number: int) -> Options:
    change: dict[str, Any] = {field: number}
    return replace(found, **change)


def _number(field: str) -> Callable[[Options, str], Options | None]:
    def read(found: Options, value: str) -> Options | None:
        # 0 says that there is no such option.
        return _with(found, field, int(value[:9])) if value.isdecimal() else None

    return read


def _gpus(field: str) -> Callable[[Options, str], Options | None]:
    def read(found: Options, value: str) -> Options | None:
        """Read ``[model:]number``, or several of them."""
        asked = gres_of(",".join(f"gpu:{each}" for each in value.split(",")))
        return _with(replace(found, gpu_model=asked.gpu_model), field, asked.gpus)

    return read


def _gres(found: Options, value: str) -> Options | None:
    asked = gres_of(value)
    return replace(found, gpus=asked.gpus, gpu_model=asked.gpu_model, rest=asked.rest) if asked.gpus else None


def _memory(field: str) -> Callable[[Options, str], Options | None]:
    def read(found: Options, value: str) -> Options | None:
        match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)B?", value, re.IGNORECASE)
        # 0 is all that a node has.
        if match is None or not int(match[1]):
            return None
        return _with(found, field, max(1, round(int(match[1]) * _MB[match[2].upper() or "M"])))

    return read


def _time(found: Options, value: str) -> Options | None:
    """Read minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes and with seconds."""
    match = re.fullmatch(r"(?:([0-9]{1,6})-)?([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?", value)
    if match is None:
        return None
    days, first, second, third = (int(group or 0) for group in match.groups())
    if match[1] is not None or match[4] is not None:
        seconds = days * 86400 + first * 3600 + second * 60 + third
    else:
        seconds = first * 60 + second
    return replace(found, runtime_min=-(-seconds // 60)) if seconds else None


_READERS: dict[str, Callable[[Options, str], Options | None]] = {
    "--gres": _gres,
    **dict.fromkeys(("--gpus", "-G", "--gpus-per-node"), _gpus("gpus")),
    "--gpus-per-task": _gpus("gpus_per_task"),
    **dict.fromkeys(("--cpus-per-task", "-c"), _number("cpus_per_task")),
    "--cpus-per-gpu": _number("cpus_per_gpu"),
    "--mem": _memory("mem_mb"),
    "--mem-per-cpu": _memory("mem_mb_per_cpu"),
    "--mem-per-gpu": _memory("mem_mb_per_gpu"),
    **dict.fromkeys(("--time", "-t"), _time),
    **dict.fromkeys(("--ntasks", "-n"), _number("tasks")),
    "--ntasks-per-node": _number("tasks_per_node"),
}
