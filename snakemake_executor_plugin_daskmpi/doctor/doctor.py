"""The verb ``doctor``: look around, form a world, judge, report.

Runs on: the login node, a batch script, a laptop; or every rank of a world that was started around it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor import judgement, listing, probe, survey
from snakemake_executor_plugin_daskmpi.doctor.facts import WorldFacts
from snakemake_executor_plugin_daskmpi.doctor.further_job import further_job_facts
from snakemake_executor_plugin_daskmpi.doctor.said import last_lines, refusal_of
from snakemake_executor_plugin_daskmpi.doctor.verdict import Verdict, worst
from snakemake_executor_plugin_daskmpi.doctor.wording import counted
from snakemake_executor_plugin_daskmpi.errors import three_part_message
from snakemake_executor_plugin_daskmpi.launch.launchers import mpiexec_command, srun_line
from snakemake_executor_plugin_daskmpi.rank import roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.doctor.facts import MpiFacts
    from snakemake_executor_plugin_daskmpi.rank.roles import Allocation
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

#: Workers of a world on this host: two, so that data goes from one to the other.
_WORKERS = 2
#: Seconds that ranks have to end for each way to end them.
_END_S = 5.0


def main(settings: Settings, *, as_json: bool, join: str | None = None) -> int:
    """Check everything, print the report, and return the exit code.

    Parameters
    ----------
    join
        Options of srun for a job that tries to reach this host, None for no such job.
    """
    environ = dict(os.environ)
    if roles.seat_of(environ) is not None:
        # First of all: only rank 1 (or the rank that says why there is no world) comes back from it. The alarm ends
        # a rank that hangs, within MPI too, and with it the world; a fork, which rank 1 goes on in, has none.
        signal.alarm(settings.startup_timeout)
        world = probe.observe(settings, "given")
        signal.alarm(0)
        mpi = survey.mpi_facts(settings, environ)
    else:
        mpi = survey.mpi_facts(settings, environ)
        world = world_of(settings, mpi, environ)
    facts = survey.survey(mpi, world, environ)
    if join is not None:
        facts = dataclasses.replace(facts, further_job=further_job_facts(join, settings.startup_timeout))
    checks = judgement.checks_of(facts)
    if as_json:
        print(listing.render_json(facts, checks))
    else:
        is_terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else 0
        print(listing.render_text(facts, checks, width=width, colour=is_terminal and "NO_COLOR" not in os.environ))
    sys.stdout.flush()
    return int(worst(checks) is Verdict.FAIL)


def launcher_of(asked: str, mpi: MpiFacts, allocation: Allocation | None) -> str:
    """Return how to form a world here: as asked, else srun in an allocation, else mpiexec, else without MPI."""
    if asked != "auto":
        return asked
    if allocation is not None:
        return "srun"
    return "mpiexec" if mpi.has_own_mpiexec else "local"


def world_of(settings: Settings, mpi: MpiFacts, environ: Mapping[str, str]) -> WorldFacts:
    """Form a world in processes of its own, and return what they saw."""
    allocation = roles.allocation_of(environ)
    launcher = launcher_of(settings.launcher, mpi, allocation)
    if allocation is not None and launcher == "srun" and allocation.n_ranks < roles.MIN_RANKS:
        n = allocation.n_ranks
        error = three_part_message(
            f"The allocation has {counted(n, 'task')}; a world needs {roles.MIN_RANKS}: scheduler, client, one worker.",
            seen=f"n tasks give n - 2 workers, and job {allocation.job_id} has {n}.",
            next_step="salloc --ntasks=4 --mem-per-cpu=1G … (or #SBATCH --ntasks=4). A run with "
            "--daskmpi-grow may start with 2 tasks; a check needs a worker.",
        )
        return WorldFacts(launcher, error=error)
    workers = settings.workers or _WORKERS
    timeout_s = float(settings.startup_timeout)
    # Sooner than we give up, so that rank 1 can say who is missing.
    settings = dataclasses.replace(settings, workers=workers, startup_timeout=max(1, int(timeout_s / 2)))
    order = json.dumps({"launcher": launcher, "settings": dataclasses.asdict(settings)})
    program = [sys.executable, "-m", probe.__name__, order]
    command, variables = program, dict(environ)
    if launcher == "mpiexec":
        command = mpiexec_command(shlex.split(mpi.mpiexec), 2 + workers, program)
        variables[roles.LAUNCHED] = launcher
    elif launcher == "srun":
        if allocation is None:
            error = three_part_message("srun needs an allocation.", next_step="salloc --ntasks=4 --mem-per-cpu=1G …")
            return WorldFacts(launcher, error=error)
        command, variables = srun_line(settings, allocation, mpi.pmi, program)
    typed = shlex.join([part if part != order else "…" for part in command])
    world = _answer(command, variables, timeout_s)
    refusal = refusal_of(world.said, mpi.mpiexec, 2 + workers) if launcher == "mpiexec" and world.error else None
    if refusal is not None:
        world = WorldFacts("", error=three_part_message(refusal.why, next_step=refusal.next_step))
    world = dataclasses.replace(world, said=last_lines(world.said))
    return dataclasses.replace(world, launcher=launcher, command="" if launcher == "local" else typed)


def _answer(command: list[str], environ: dict[str, str], timeout_s: float) -> WorldFacts:
    """Run a probe to its end, or end it; return its answer, with all that was said."""
    try:
        running = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environ,
            # Out of reach of the terminal's Ctrl-C: this process ends it.
            start_new_session=True,
        )
    except OSError as error:
        return WorldFacts("", error=three_part_message(f"{command[0]} did not start.", seen=f"{error}."))
    try:
        out, err = running.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as timeout:
        _end(running)
        why = three_part_message(
            f"The ranks did not become one world within {timeout_s:.0f} s, and were ended.",
            next_step="--timeout 300 where file systems are slow. Ranks that hang in the start of MPI need another "
            "type of srun --mpi (--daskmpi-pmi), or another MPI library.",
        )
        # Not what they said of being ended.
        said = (timeout.stderr or b"").decode(errors="replace")
        return WorldFacts("", error=why, said=said)
    except BaseException:
        _end(running)
        raise
    answer = probe.answer_of(out)
    if answer is not None:
        return dataclasses.replace(answer, said=err)
    why = f"The ranks ended with exit code {running.returncode} and without an answer."
    return WorldFacts("", error=why, said=err)


def _end(running: subprocess.Popen[str]) -> None:
    """End a probe and all of its ranks, the gentle way first."""
    # The second SIGINT within a second is what makes srun kill its tasks.
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.communicate(timeout=0.2 if number == signal.SIGINT else _END_S)
            return
    running.communicate()
