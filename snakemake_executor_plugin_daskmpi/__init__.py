"""Run a whole Snakemake workflow inside one allocation, on Dask-MPI workers.

Snakemake's contract with an executor plugin is the three names at the end of this file.

Reading map: *where does this run?*, then *what crosses?*

=======================  =====================================================================
``errors``               what we raise
``annotations/``         what rules say of cores, memory and GPUs, in Slurm's words too; read by ``resources``
``resources``            what a job asks for, what a worker offers
``record/``              what happens in a run: the file that rank 1 writes, read by all that looks at runs
``messages``             everything that crosses between rank 1 and the workers
``inherited``            what a job inherits from Snakemake's own process
``apart``                our imports and the user's, kept apart
``command_line``         the command line of this process, to run it again elsewhere
``settings/``            the ``--daskmpi-*`` flags, and how their values are read
``rank/``                what every rank stands on: who it is, its log, its processes, its credentials, and the
                         ``stream`` on which rank 1 and a worker talk
``mpi/``                 which MPI library there is, and which launcher speaks what
``snakemake_internals/`` all that we use of Snakemake beyond its interface for plugins, and ``compatibility``, which
                         looks whether it is there
``placement/``           rank 1: which job goes to which worker now; pure
``warm/``                both ends of a warm body: packed on rank 1, run in the process of a job
``worker/``              ranks >= 2: ``runner`` hands jobs to the ``forkserver``, whose forks (``child``) run them;
                         ``memory/`` watches them
``slurm/``               the login node: what a site offers, the batch script, submitting, following, what was counted
``planning/``            the login node: which Slurm job the jobs of a DAG call for; pure
``advise/``              the login node: what a run that is recorded teaches the next one; pure but for the reading
``world/``               every rank: how ranks become one world, and the link of rank 1 to it; ``prefork`` saves a
                         local world its starts
``growth/``             rank 1: further Slurm jobs that join a run: when they pay, and their end
``launch/``              outside a world: how to get one, with the same command line
``client/``              rank 1: ``entrance`` is where a process learns what it is; ``executor`` hands ready jobs to the
                         ``pool``; ``run_state`` decides what happens, the pool carries it out, ``reports`` tells of it
``view/``                the verbs that look at a run, from its record: ``status``, ``watch``, ``explain``
``profile/``             the verb that writes a profile for a site
``doctor/``              the verb that looks at a site and a world, and judges
``report/``              the verb that makes a page of what runs have done: ``history`` and ``figures`` from the
                         record, ``plots`` and ``page`` from these; pure but for ``verb``
``cli/``                 the program ``snakemake-daskmpi``
=======================  =====================================================================

Words: a *job* is Snakemake's; the *allocation* is the one Slurm job that we live in; a *rank* is
one process of the *world*: rank 0 the Dask scheduler, rank 1 the client (Snakemake), ranks >= 2 the
*workers*; the *keeper* of a rank is the process that the launcher started, which holds its place in
MPI for a child that does its work; the *pool* is rank 1's view of the workers; an *outcome* is how a
job ended; a *lost* worker died without saying why; to *drain* is to start no jobs and let running ones
end; a *warm* body is run by a fork that was born with Snakemake in it, a *spawned* one by a
``python -m snakemake`` of its own; a warm body is *recorded* on rank 1, as one call of Snakemake's, or *parsed*, if it
needs the Snakefile; programs that a job leaves in its session *linger*.

Importing this package starts nothing and imports neither ``distributed`` nor ``mpi4py``: Snakemake
imports every installed plugin at every start.
"""

from dataclasses import dataclass

from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_daskmpi.client.entrance import enter, hush
from snakemake_executor_plugin_daskmpi.client.executor import Executor
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

hush()

common_settings = CommonSettings(
    # Jobs run in other processes, perhaps on other nodes.
    non_local_exec=True,
    # Ranks of one allocation see the same file system.
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
)


@dataclass
class ExecutorSettings(Settings):
    """The settings; their construction is the moment at which the ranks of a world part."""

    def __post_init__(self) -> None:
        """Go on only where Snakemake belongs: on rank 1, or outside a world."""
        enter(self)
