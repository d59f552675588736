"""The launchers ``sbatch``, ``plan`` and ``script``: one Slurm job for what the DAG says has to run.

Runs on: the login node, in the process that is Snakemake, when the DAG is there, the working directory is locked and
nothing has run.

What cannot be is refused before anything is written. What follows the release of Snakemake's lock is done by a
program that takes over this process: slurm.submission.follow.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi import command_line
from snakemake_executor_plugin_daskmpi.advise.recorded_runtimes import known_from_records
from snakemake_executor_plugin_daskmpi.errors import NoSlurmError
from snakemake_executor_plugin_daskmpi.launch.local import offers_here
from snakemake_executor_plugin_daskmpi.launch.planned import planned
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.mpi.library import pmi_type_for
from snakemake_executor_plugin_daskmpi.planning.demand import demand_of
from snakemake_executor_plugin_daskmpi.planning.here import plan_here
from snakemake_executor_plugin_daskmpi.rank.roles import LAUNCHED
from snakemake_executor_plugin_daskmpi.slurm.controller import say
from snakemake_executor_plugin_daskmpi.slurm.inquiry import ask_site
from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch
from snakemake_executor_plugin_daskmpi.slurm.script.container import Container
from snakemake_executor_plugin_daskmpi.slurm.script.script import render_script, sbatch_arguments
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, program_for_srun, srun_command, srun_environ
from snakemake_executor_plugin_daskmpi.slurm.submission import chain, record, signals
from snakemake_executor_plugin_daskmpi.slurm.submission.progress import SUBMISSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.slurm.site import Site

#: Where a script that is printed lets its job write; nobody has submitted that, so nothing can follow it.
_BY_HAND = "by-hand"


def submit(settings: Settings, dag: Any, before_exec: Callable[[], None]) -> NoReturn:
    """Plan the job, write its script, and become the program that submits and follows it.

    Raises
    ------
    LaunchError
        If the directory has a job already, or there can be none; nothing is left behind then.
    """
    workdir = Path.cwd()
    before = chain.own_submission(workdir) if settings.resubmit else None
    if before is None:
        record.refuse_second(workdir)
    else:
        chain.check_progress(before, len(dag))
    site = ask_site()
    plan = planned(_demand(dag), site, settings)
    submission = record.new_record(workdir, command_line.same_command())
    batch = _batch(settings, plan, site, Path(submission.folder))
    script, arguments = render_script(plan, batch), sbatch_arguments(batch)
    submission = record.new_record(
        workdir, command_line.same_command(), arguments, submission.folder, before.folder if before else ""
    )
    Path(submission.folder).mkdir(parents=True, mode=0o700)
    (Path(submission.folder) / record.SCRIPT).write_text(script)
    record.claim(submission)
    # From here to the job's id, no signal may leave half of a submission.
    signals.hold()
    before_exec()
    os.chdir(command_line.folder())
    program = "snakemake_executor_plugin_daskmpi.slurm.submission.follow"
    follow = [sys.executable, "-P", "-m", program, submission.folder, *(["--detach"] if settings.detach else [])]
    _flush()
    os.execv(follow[0], follow)  # noqa: S606


def show_plan(settings: Settings, dag: Any, before_exec: Callable[[], None]) -> NoReturn:
    """Print what would be submitted as a table, or without Slurm what would come of it on this machine, and end."""
    from snakemake_executor_plugin_daskmpi.planning.forecast import forecast_of
    from snakemake_executor_plugin_daskmpi.planning.table import render_here, render_plan

    demand = _demand(dag)
    try:
        plan = planned(demand, ask_site(), settings)
    except NoSlurmError:
        plan, demand = plan_here(demand, offers_here(settings, dag.workflow.resource_settings.cores))
        text = render_here(plan, demand, forecast_of(plan, demand))
    else:
        text = render_plan(plan, demand, forecast_of(plan, demand), settings.grow)
    _print_and_end(text, before_exec)


def show_script(settings: Settings, dag: Any, before_exec: Callable[[], None]) -> NoReturn:
    """Print the batch script, alone on stdout, and end."""
    site = ask_site()
    plan = planned(_demand(dag), site, settings)
    # Slurm does not make folders for output.
    folder = record.home_of(Path.cwd()) / _BY_HAND
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    batch = _batch(settings, plan, site, folder)
    if arguments := sbatch_arguments(batch):
        say(f"what a script cannot hold goes on the command line: sbatch {shlex.join(arguments)} SCRIPT")
    _print_and_end(render_script(plan, batch), before_exec)


def _demand(dag: Any) -> Demand:
    """Return what has to run, with runtimes of earlier runs in this folder where rules do not say."""
    return known_from_records(demand_of(dag), Path.cwd())


def _print_and_end(text: str, before_exec: Callable[[], None]) -> NoReturn:
    """End this process with success: an exception would be an error to Snakemake, and a return would run the jobs."""
    print(text.rstrip("\n"))
    before_exec()
    _flush()
    os._exit(0)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _batch(settings: Settings, plan: Plan, site: Site, folder: Path) -> Batch:
    """Return all that the script says besides the plan."""
    workdir = command_line.folder()
    step = Step(
        mpi=pmi_type_for(settings, sys.executable, site.mpi_types),
        cpus_per_task=tuple(component.cpus_per_task for component in plan.components),
        binds_cpus=site.binds_cpus,
        args=tuple(shlex.split(settings.srun_args or "")),
    )
    resubmits = settings.resubmit and folder.name != _BY_HAND
    library = settings.pmi_library or pmi.find_library("pmi2", os.environ)
    return Batch.of(
        settings,
        job_name=f"snakemake-{Path.cwd().name}",
        workdir=workdir,
        output=str(folder / record.OUTPUT),
        exit_code_file=str(folder / record.EXIT_CODE),
        srun=srun_command(step),
        command=program_for_srun(command_line.same_command(f"--daskmpi-components={plan.components_setting}")),
        exports={**srun_environ(step), LAUNCHED: "sbatch", **({SUBMISSION: str(folder)} if resubmits else {})},
        resubmits=command_line.same_command() if resubmits else [],
        container=Container.of(settings, workdir, library, [str(Path.cwd())]),
    )
