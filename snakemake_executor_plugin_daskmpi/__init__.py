"""Run a whole Snakemake workflow inside one allocation, on Dask-MPI workers.

Snakemake's contract with an executor plugin is the three names at the end of this file.

Reading map: *where does this run?*, then *what crosses?*

===============  =============================================================================
``settings``     the ``--daskmpi-*`` flags; ``slurm_settings`` those of a Slurm job, ``choice``
``executor``     rank 1: hands ready jobs to the pool, reports outcomes
``specs``        rank 1: what a worker gets of a job; ``spawning`` the command of one that is not warm,
                 ``group_needs`` what a group is content with
``pool``         rank 1: the Dask client behind few verbs; ``link`` is its connection,
                 ``dispatch`` queues, places and starts, ``pooled_job`` is what it knows of a job,
                 ``roll_call`` waits for the workers, ``markers`` marks outputs that are being made
``placement/``   rank 1: which job goes to which worker now; pure
``failure``      rank 1: what the user reads of a failed job; pure
``journal``      rank 1: ``jobs.tsv``, a line for each job that has ended; ``notes`` what is said once
``leaving``      rank 1: what signals ask of a run, ``interruption`` gets it through to Snakemake; ``deadline``,
                 ``time_left`` when the allocation ends; ``comebacks`` which lost workers return;
                 ``drain`` a run that ends before its workflow, ``exit_code``, ``last_round``
``requeue``      rank 1, and a batch script: what an earlier life of the same Slurm job left
``rounds``       rank 1: fewer scheduling rounds of Snakemake's own
``warm/``        both ends of a warm body: ``recorded`` the call that it is, ``workflows`` the parse that it needs,
                 ``evaluated`` what rank 1 sends of a job, ``rebuilt`` what becomes of that; with ``rounds``, all
                 that knows Snakemake's internals
``inherited``    what a job inherits from Snakemake's own process; ``apart`` our imports and the user's
``messages``     everything that crosses between rank 1 and the workers
``resources``    what a job asks for, what a worker offers; ``annotations``, ``sbatch_options`` read what rules say
``errors``       what we raise
``world/``       every rank: who am I, and how do we become one world; ``prefork`` saves a local one its starts
``worker/``      ranks >= 2: runner, group, forkserver, child, environment, limits; ``warmth`` is what a child is born
                 with, ``lingering`` what it leaves; ``memory`` is the watch over the jobs' memory, with
                 ``footprint``, ``cgroup``, ``eviction``; ``slurm_programs`` are ``srun`` and its like for jobs
``launch/``      outside a world: how to get one, with the same command line
``planning/``    the login node: which Slurm job the jobs of a DAG call for; pure
``slurm/``       the login node: what the site offers, the batch script, submitting, following
``cli``          the program ``snakemake-daskmpi``; ``report/`` is its doctor
===============  =============================================================================

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

import sys
from dataclasses import dataclass

from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_daskmpi import apart, command_line, inherited
from snakemake_executor_plugin_daskmpi.client import requeue
from snakemake_executor_plugin_daskmpi.client.executor import Executor
from snakemake_executor_plugin_daskmpi.launch import launchers
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.submission import record
from snakemake_executor_plugin_daskmpi.world import prefork
from snakemake_executor_plugin_daskmpi.world.bootstrap import current_world, enter_world

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

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
        """Check the values, then go on only where Snakemake belongs: on rank 1 or outside a world."""
        self.check()
        command_line.remember_folder()
        apart.remember_path()
        requeue.resume(sys.argv[1:])
        enter_world(self)
        if current_world() is None and launchers.is_local(self):
            prefork.fork_ahead(self)
        inherited.remember()
        if self.launcher == "sbatch" and current_world() is None:
            record.notice(sys.argv[1:])
