"""The batch script of a further Slurm job, and its submission.

Runs on: rank 1, in threads that may wait for Slurm.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import re
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi import command_line
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.mpi.library import pmi_type_for
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.controller import PATIENCE_S, answer_of, away
from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch
from snakemake_executor_plugin_daskmpi.slurm.script.container import Container
from snakemake_executor_plugin_daskmpi.slurm.script.script import render_script, sbatch_arguments
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command, srun_environ
from snakemake_executor_plugin_daskmpi.slurm.submission import queue, reasons
from snakemake_executor_plugin_daskmpi.slurm.submission.sbatch import found_job
from snakemake_executor_plugin_daskmpi.world import ticket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.slurm.site import Site
    from snakemake_executor_plugin_daskmpi.world.ticket import Ticket

_JOIN = ("-P", "-m", "snakemake_executor_plugin_daskmpi.world.join")
SCRIPT, OUTPUT, EXIT_CODE = "job.sh", "output.log", "exit-code"
#: Seconds that ``sbatch --test-only`` may take.
_TEST_S = 20.0
_WOULD_START = re.compile(r"to start at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")


def write(settings: Settings, plan: Plan, site: Site, folder: Path) -> list[str]:
    """Write the script of a further job, and return the command that submits it.

    Raises
    ------
    LaunchError
        If its ranks could not meet.
    OSError
        If it cannot be written.
    """
    folder.mkdir(parents=True, mode=0o700)
    (component,) = plan.components
    workdir, library = command_line.folder(), settings.pmi_library or pmi.find_library("pmi2", {})
    step = Step(
        # A single rank meets nobody.
        mpi=pmi_type_for(settings, sys.executable, site.mpi_types) if component.n_tasks > 1 else "none",
        cpus_per_task=(component.cpus_per_task,),
        binds_cpus=site.binds_cpus,
        args=tuple(shlex.split(settings.srun_args or "")),
    )
    batch = Batch.of(
        settings,
        job_name=f"snakemake-{Path.cwd().name}-further",
        workdir=workdir,
        output=str(folder / OUTPUT),
        exit_code_file=str(folder / EXIT_CODE),
        srun=srun_command(step),
        command=[sys.executable, *_JOIN, _told(settings, plan, folder)],
        exports=srun_environ(step),
        container=Container.of(settings, workdir, library, [str(Path.cwd())]),
    )
    (folder / SCRIPT).write_text(render_script(plan, batch))
    (folder / SCRIPT).chmod(0o600)
    return queue.submit_command(
        str(folder / SCRIPT), [*_exports(component.extra, os.environ), *sbatch_arguments(batch)]
    )


def _told(settings: Settings, plan: Plan, folder: Path) -> str:
    """Return what its ranks need to know: the settings that differ from the defaults, and the run's folder."""
    its_own = {"components": plan.components_setting or None, "workers": None, "launcher": "auto"}
    said, usual = dataclasses.asdict(settings) | its_own, dataclasses.asdict(Settings())
    differing = {name: value for name, value in said.items() if value != usual[name]}
    return json.dumps({"settings": differing, "run_dir": str(folder.parent.parent)})


def _exports(extra: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    """Return the option with which the ticket reaches the job, also where the site or the user lets nothing through.

    >>> _exports(("--export=NONE",), {}), _exports((), {"SBATCH_EXPORT": "PATH"}), _exports((), {})
    (['--export=DASKMPI_TICKET'], ['--export=PATH,DASKMPI_TICKET'], ['--export=ALL,DASKMPI_TICKET'])
    """
    said = [word.partition("=")[2] for word in extra if word.startswith("--export=")]
    names = said[-1] if said else environ.get("SBATCH_EXPORT", "ALL")
    return [
        "--export=" + ticket.VARIABLE if names.upper() in {"NONE", "NIL"} else f"--export={names},{ticket.VARIABLE}"
    ]


def starts_in_s(command: list[str]) -> float | None:
    """Ask Slurm in how many seconds it would start a job; None if it does not say."""
    answer = answer_of([command[0], "--test-only", *command[1:]], timeout_s=_TEST_S)
    match = _WOULD_START.search(answer.err + answer.out)
    return -seconds_since(match[1]) if match and not answer.code else None


def seconds_since(when: str) -> float:
    """Return how many seconds ago it was what Slurm's clock said, "" for now."""
    return time.time() - dt.datetime.fromisoformat(when).timestamp() if when else 0.0


def submit(command: list[str], shown: Ticket) -> str:
    """Submit a job, once, and return its id.

    Raises
    ------
    LaunchError
        If Slurm refuses it, or its controller stays away: there is no job then.
    """
    give_up = time.monotonic() + PATIENCE_S
    script = Path(command[-1])
    added: Mapping[str, str] = {ticket.VARIABLE: shown.text()}
    while True:
        answer = answer_of(command, added=added)
        if answer.code == 0:
            return queue.parse_submitted(answer.out)[0]
        if not answer.is_silence:
            raise LaunchError(reasons.refusal_message(answer.words, str(script)))
        # It may have taken the job without saying so.
        if found := found_job("/".join(script.parts[-4:]), give_up):
            return found
        if found is None or time.monotonic() >= give_up:
            raise away(answer, PATIENCE_S)
