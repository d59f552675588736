"""The ``--daskmpi-*`` settings: a dataclass whose help texts are the command line.

Runs on: every rank, which all parse the same command line, and on the login node.
Called by: Snakemake, through ``ExecutorSettings`` in the package's ``__init__``.

Two traps of Snakemake's argument builder shape this file: annotations have to be real
types (no ``from __future__ import annotations``, no ``int | None``), and a ``bool`` has to
default to False, so booleans are named for the exception (``no_warm``).
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_daskmpi.errors import SettingsError

LAUNCHERS = ("auto", "local", "mpiexec")
BINDINGS = ("none", "cores")


def _choice(flag: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser for one of several words that answers a typo with the word meant."""

    def parse(text: str) -> str:
        if text in choices:
            return text
        near = difflib.get_close_matches(text, choices, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(
            f"{flag} cannot be {text!r}.{meant}",
            next_step=f"{flag} with one of: {', '.join(choices)}.",
        )

    return parse


@dataclass
class Settings(ExecutorSettingsBase):
    """Everything that a user can set. Each name is the flag ``--daskmpi-<name>`` and a profile key."""

    launcher: Optional[str] = field(
        default="auto",
        metadata={
            "help": "How to get a world of ranks when not started inside one: 'local' starts worker processes on "
            "this machine and needs no MPI; 'mpiexec' runs the same command line under mpiexec with two "
            "ranks more than there are workers; 'auto' is 'local'. Inside a world it has no effect.",
            "metavar": "{" + ",".join(LAUNCHERS) + "}",
            "parse_func": _choice("--daskmpi-launcher", LAUNCHERS),
            "unparse_func": str,
        },
    )
    workers: Optional[int] = field(
        default=None,
        metadata={
            "help": "Number of workers that a launcher starts. Default: 1, which has all cores of the machine "
            "and three quarters of its memory.",
            "metavar": "N",
        },
    )
    cores: Optional[int] = field(
        default=None,
        metadata={
            "help": "CPU cores that each worker offers. Default: what Slurm gave the rank, else the cores that "
            "the process may use, shared among the workers of its host.",
            "metavar": "N",
        },
    )
    mem_mb: Optional[int] = field(
        default=None,
        metadata={
            "help": "Memory in MB that each worker offers. Default: what Slurm gave the rank, else three "
            "quarters of the cgroup's or host's memory, shared among the workers of its host.",
            "metavar": "MB",
        },
    )
    disk_mb: Optional[int] = field(
        default=None,
        metadata={
            "help": "Scratch space in MB that each worker offers to jobs that ask for disk_mb. Default: no limit, "
            "since Snakemake's own default asks 50,000 for every job that does not say.",
            "metavar": "MB",
        },
    )
    gpus: Optional[str] = field(
        default=None,
        metadata={
            "help": "Ids of the GPUs that each worker offers, for instance '0,1'. Default: what "
            "CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES or SLURM_JOB_GPUS say.",
            "metavar": "IDS",
        },
    )
    bind: Optional[str] = field(
        default="none",
        metadata={
            "help": "'cores' pins each job to the cores it was given, by CPU affinity; 'none' leaves it to the kernel.",
            "metavar": "{" + ",".join(BINDINGS) + "}",
            "parse_func": _choice("--daskmpi-bind", BINDINGS),
            "unparse_func": str,
        },
    )
    no_warm: bool = field(
        default=False,
        metadata={
            "help": "Start each job with 'python -m snakemake', as cluster executors do, instead of forking it "
            "from a process that has parsed the Snakefile once. Slow; for comparing.",
        },
    )
    mpiexec: Optional[str] = field(
        default=None,
        metadata={
            "help": "The mpiexec command of '--daskmpi-launcher mpiexec', with its options, for instance "
            "'mpiexec --oversubscribe'. Default: the one beside this Python, else the first on PATH.",
            "metavar": "COMMAND",
        },
    )
    startup_timeout: Optional[int] = field(
        default=300,
        metadata={
            "help": "Seconds to wait for all workers to be ready before giving up.",
            "metavar": "SECONDS",
        },
    )

    def check(self) -> None:
        """Raise a SettingsError for a value that cannot be, whichever way it got here."""
        _choice("--daskmpi-launcher", LAUNCHERS)(self.launcher or "auto")
        _choice("--daskmpi-bind", BINDINGS)(self.bind or "none")
        for name in ("workers", "cores", "mem_mb", "startup_timeout"):
            value = getattr(self, name)
            if value is not None and value < 1:
                flag = "--daskmpi-" + name.replace("_", "-")
                raise SettingsError(f"{flag} cannot be {value}.", next_step=f"{flag} 1 or more, or leave it out.")
        if self.disk_mb is not None and self.disk_mb < 0:
            raise SettingsError(
                f"--daskmpi-disk-mb cannot be {self.disk_mb}.",
                next_step="--daskmpi-disk-mb 0 or more, or leave it out.",
            )
