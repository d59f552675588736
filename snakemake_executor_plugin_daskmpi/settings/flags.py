"""The ``--daskmpi-*`` settings: a dataclass whose help texts are the command line.

Runs on: every rank, which all parse the same command line, and on the login node.

Two traps of Snakemake's argument builder shape this file: annotations have to be real
types (no ``from __future__ import annotations``, no ``int | None``), and a ``bool`` has to
default to False, so booleans are named for the exception (``no_warm``).
"""

import time
from dataclasses import dataclass, field, fields
from typing import Optional

from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.settings.choices import check_words, choice
from snakemake_executor_plugin_daskmpi.settings.durations import minutes_of, parse_walltime, seconds_left
from snakemake_executor_plugin_daskmpi.settings.slurm_flags import CONTAINER_RUNTIMES, PMI_TYPES, SHRINK, SlurmSettings

LAUNCHERS = ("auto", "local", "mpiexec", "srun", "sbatch", "plan", "script")
#: What people say for some of them.
_LAUNCHERS_CALLED = {"mpirun": "mpiexec", "mpi": "mpiexec", "slurm": "sbatch", "salloc": "srun"}
BINDINGS = ("none", "cores")
MEMORY_POLICIES = ("evict", "strict", "ignore")
#: Seconds to wait for programs that a body has left; arbitrary: the end of a compressor takes seconds to minutes.
LINGER_S = 300


@dataclass
class Settings(SlurmSettings):
    """Everything that a user can set. Each name is the flag ``--daskmpi-<name>`` and a profile key."""

    launcher: str = field(
        default="auto",
        metadata={
            "help": "How to get a world of ranks when not started inside one: 'local' starts worker processes on "
            "this machine and needs no MPI; 'mpiexec' runs the same command line under mpiexec with two "
            "ranks more than there are workers; 'srun' runs it over all tasks of the Slurm allocation that "
            "this is in; 'sbatch' plans a Slurm job from the workflow, submits and follows it; 'plan' and "
            "'script' print what that would submit, and start nothing. 'auto' is 'srun' in a batch script of at "
            "least 3 tasks, else 'local'. Inside a world it has no effect.",
            "metavar": "{" + ",".join(LAUNCHERS) + "}",
            "parse_func": choice("--daskmpi-launcher", LAUNCHERS, _LAUNCHERS_CALLED),
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
    bind: str = field(
        default="none",
        metadata={
            "help": "'cores' pins each job to the cores it was given, by CPU affinity; 'none' leaves it to the kernel.",
            "metavar": "{" + ",".join(BINDINGS) + "}",
            "parse_func": choice("--daskmpi-bind", BINDINGS),
            "unparse_func": str,
        },
    )
    memory: str = field(
        default="evict",
        metadata={
            "help": "What happens to jobs that take more memory than they asked for (mem_mb). 'evict': nothing, until "
            "the worker's memory is nearly used up; then the job that is furthest over its request is ended. "
            "'strict': each is ended at once. 'ignore': nothing; the peaks are only recorded.",
            "metavar": "{" + ",".join(MEMORY_POLICIES) + "}",
            "parse_func": choice("--daskmpi-memory", MEMORY_POLICIES),
            "unparse_func": str,
        },
    )
    no_warm: bool = field(
        default=False,
        metadata={
            "help": "Start each job with 'python -m snakemake', as cluster executors do, instead of forking it "
            "from a process that has Snakemake in it. Slow; for comparing.",
        },
    )
    shared_parse: bool = field(
        default=False,
        metadata={
            "help": "Parse the Snakefile once for each worker, and not in each job that needs it, such as one with a "
            "'run' block. Faster where parsing takes long, but all such jobs start from the same state: of random "
            "generators, open files, connections and temporary folders that the Snakefile makes at its top. Has no "
            "effect where the Snakefile starts threads.",
        },
    )
    linger: int = field(
        default=LINGER_S,
        metadata={
            "help": "Seconds to wait for programs that a job has left running in its session, such as the compressor "
            "in 'tee >(gzip > out.gz)' or a command in the background. What runs on then is killed, and the job has "
            "failed. 0: do not wait. Daemons, which have a session of their own, are left alone.",
            "metavar": "SECONDS",
        },
    )
    respawn: int = field(
        default=0,
        metadata={
            "help": "How many times each worker that is lost is started anew, on its own node. Default: never; "
            "the others do the rest.",
            "metavar": "N",
        },
    )
    insecure: bool = field(
        default=False,
        metadata={
            "help": "Neither encrypt nor authenticate what the ranks say to each other: whoever can reach their ports "
            "can then run programs as you. For machines that nobody else uses.",
        },
    )
    dashboard: bool = field(
        default=False,
        metadata={
            "help": "Serve Dask's dashboard and its metrics for Prometheus on the loopback interface of rank 0's host, "
            "at an address that only you can read. Its views of tasks stay empty, since jobs are none of Dask's. "
            "Needs the extra 'dashboard'.",
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
    startup_timeout: int = field(
        default=300,
        metadata={
            "help": "Seconds to wait for the ranks to meet, and for all workers to be ready, before giving up.",
            "metavar": "SECONDS",
        },
    )

    deadline: Optional[str] = field(
        default=None,
        metadata={
            "help": "When the run has to have ended: a duration from its start on ('90m', '2h'), or a time "
            "('2026-12-24T18:00'). No job starts that says by its runtime that it would not end before, and what "
            "still runs is ended in time. Default: the end of the Slurm job that this is in, if it is in one.",
            "metavar": "TIME",
        },
    )

    @staticmethod
    def flags() -> list[str]:
        """Return all of them as they stand on a command line."""
        return ["--daskmpi-" + each.name.replace("_", "-") for each in fields(Settings)]

    def check(self) -> None:
        """Raise a SettingsError for a value that cannot be, whichever way it got here."""
        choice("--daskmpi-launcher", LAUNCHERS, _LAUNCHERS_CALLED)(self.launcher or "auto")
        choice("--daskmpi-bind", BINDINGS)(self.bind or "none")
        choice("--daskmpi-memory", MEMORY_POLICIES)(self.memory or "evict")
        choice("--daskmpi-pmi", PMI_TYPES)(self.pmi or "auto")
        choice("--daskmpi-container-runtime", CONTAINER_RUNTIMES)(self.container_runtime or "apptainer")
        check_words("--daskmpi-mpiexec", self.mpiexec)
        check_words("--daskmpi-srun-args", self.srun_args)
        for name in ("workers", "cores", "mem_mb", "startup_timeout", "max_components", "max_workers", "max_cores"):
            value = getattr(self, name)
            if value is not None and value < 1:
                flag = "--daskmpi-" + name.replace("_", "-")
                raise SettingsError(f"{flag} cannot be {value}.", next_step=f"{flag} 1 or more, or leave it out.")
        if self.deadline is not None:
            seconds_left(self.deadline, time.time())
        if self.walltime:
            parse_walltime(self.walltime)
        if self.grow_walltime:
            parse_walltime(self.grow_walltime, "--daskmpi-grow-walltime")
        if not minutes_of(self.shrink or SHRINK):
            raise SettingsError(
                f"--daskmpi-shrink cannot be {self.shrink!r}.", next_step="--daskmpi-shrink 5, or in words: 90s, 1h."
            )
        if self.grow and self.insecure:
            raise SettingsError(
                "--daskmpi-grow cannot be used with --daskmpi-insecure: nobody could tell who joins.",
                next_step="leave --daskmpi-insecure out.",
            )
        for name in ("disk_mb", "respawn", "linger", "grow"):
            value = getattr(self, name)
            if value is not None and value < 0:
                flag = "--daskmpi-" + name.replace("_", "-")
                raise SettingsError(f"{flag} cannot be {value}.", next_step=f"{flag} 0 or more, or leave it out.")
