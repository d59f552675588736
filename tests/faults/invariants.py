"""What must be true of a run after a fault, and of the one that continues it.

Runs on: the machine of the tests.
Called by: campaign.

Each check yields what is wrong, in words, so that a campaign can go on and tell of all of it.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from account import account_of
from growing import LEFT_WITHIN_S, further_name
from harness import describe, wait_until
from kinds import End

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaign import Fault
    from scene import Scene

#: From this part of all jobs on, a run may be at its end before a fault has an effect.
_LATE = 0.7
#: A traceback that is not a line of a job's log, which messages quote after a bar.
_TRACEBACK = re.compile(r"^(?![ \t]*\|).*Traceback \(most recent call last\)", re.MULTILINE)


def wrong_outputs(scene: Scene) -> list[str]:
    """Return the outputs that are missing, or not what they have to be, or too many."""
    found = {path.name: path.read_text() for path in scene.outputs.glob("[a-z]*")}
    expected = scene.load.outputs()
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def of_the_end(scene: Scene, fault: Fault, code: int) -> Iterator[str]:
    """Check how the run ended: its exit code, and what it says."""
    if _TRACEBACK.search(scene.run.text) and not fault.kind.hits_snakemake:
        yield "there is a traceback"
    text, end = scene.run.text, fault.kind.end_of(fault.launcher)
    account, wrong = account_of(text), wrong_outputs(scene)
    if code == 0:
        if wrong:
            yield f"it ended with 0, but {wrong[:5]} are not right"
        if end in (End.ENDS, End.SILENT) and fault.after < _LATE:
            yield "it went on"
    elif end is End.BEARS and fault.retries:
        yield f"it ended with {code} in spite of --retries {fault.retries}"
    elif end in (End.BEARS, End.FAILS):
        if not account.n_failed and not fault.kind.hits_snakemake:
            yield f"it ended with {code}, and no job is said to have failed"
        words = (fault.kind.says, *["Next: "] * (account.n_failed > 0))
        unsaid = [each for each in words if not re.search(each, text)]
        if unsaid:
            yield f"it ended with {code}, and nothing says {unsaid}"
    elif end is End.ENDS and not re.search(fault.kind.says, text):
        yield f"it ended with {code}, and nothing says {fault.kind.says!r}"


def of_the_jobs(scene: Scene, fault: Fault) -> Iterator[str]:
    """Check that no job ran more often than it was started, and none again that had finished."""
    account = account_of(scene.run.text)
    if account.again:
        yield f"{account.again} were started again after they had finished"
    expected = scene.load.outputs()
    for name in account.finished:
        path = scene.outputs / name
        if name in expected and (not path.exists() or path.read_text() != expected[name]):
            yield f"{name} is said to have finished, and its output is not right"
    ran = {path.name: len(path.read_text().splitlines()) for path in (scene.workflow.folder / "ran").glob("*")}
    more = {name: times - account.started[name] for name, times in ran.items() if times > account.started[name]}
    if sum(more.values()) > fault.kind.unknown_runs:
        yield f"of these, that many runs are not known to Snakemake: {more}"


def of_what_is_left(scene: Scene, fault: Fault) -> Iterator[str]:
    """Check that no Slurm job, process, lock or scratch folder is left."""
    workflow = scene.workflow
    if slurm := workflow.slurm:
        queue = functools.partial(slurm.squeue, "--name=" + further_name(workflow))
        try:
            wait_until(lambda: not queue(), on_timeout=queue, timeout_s=LEFT_WITHIN_S)
        except AssertionError as error:
            yield f"Slurm jobs are left: {error}"
    try:
        wait_until(lambda: not workflow.processes(), on_timeout=lambda: describe(workflow.processes()), timeout_s=60)
    except AssertionError as error:
        yield f"processes are left: {error}"
        workflow.kill_all()
    killed = fault.kind.end_of(fault.launcher) is End.SILENT
    if workflow.locks() and not killed:
        yield "locks are left"
    if not killed and not fault.kind.leaves_scratch and (left := scene.scratch()):
        yield f"scratch folders are left: {left}"


def of_the_next_run(scene: Scene, fault: Fault) -> Iterator[str]:
    """Check that the same command continues the workflow, with what Snakemake itself asks for and no more."""
    end = fault.kind.end_of(fault.launcher)
    before = account_of(scene.run.text)
    wanted = []
    if scene.workflow.locks() and end is End.SILENT:
        scene.workflow.run("--unlock", *scene.load.config, launcher="local").ends_with(0)
    if scene.workflow.incomplete() and (fault.kind.asks_to_rerun or end is End.SILENT):
        wanted.append("--rerun-incomplete")
    run = fault.start(scene, *wanted)
    code = run.wait()
    if code:
        yield f"the next run ends with {code}: {run.text[-600:]}"
    wrong = wrong_outputs(scene)
    if fault.kind.hits_snakemake:
        # Temporary files that it could not remove then, it does not know of now.
        wrong = [name for name in wrong if not name.startswith("passing.")]
    if wrong:
        yield f"after the next run, {wrong[:5]} are not right"
    after = account_of(run.text)
    if again := sorted(before.finished.keys() & after.started.keys()):
        yield f"the next run starts {again[:5]} again, which had finished"
    if _TRACEBACK.search(run.text):
        yield "there is a traceback in the next run"
