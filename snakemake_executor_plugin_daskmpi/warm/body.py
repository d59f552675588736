"""The warm body: a job packed on rank 1, and run by a process that was forked with Snakemake in it.

Runs on: rank 1 (``obstacle``, ``pack_*``), in the forkserver of ranks >= 2 (``bare``) and in the processes of its jobs
(``parse``, ``run``).

There are two kinds. A *recorded* body is one call of Snakemake's (``shell``, ``script``, …) that rank 1 has evaluated;
a process that has made one can make the next. A *parsed* body needs the Snakefile itself, above all that of a ``run``
block: as with Snakemake's own executors, its process parses the Snakefile first, is the body's alone, and ends as any
Python program does.
"""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.settings import SharedFSUsage

from snakemake_executor_plugin_daskmpi.snakemake_internals import evaluated, rebuilt, workflows
from snakemake_executor_plugin_daskmpi.warm import pickling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from snakemake.workflow import Workflow


class UnpackableError(Exception):
    """A packed job could not be rebuilt in its process. Never leaves the worker."""


def obstacle(job: Any) -> str:
    """Return why a job cannot go warm, or an empty string if it can."""
    workflow = job.dag.workflow
    if len(workflow.storage_settings.shared_fs_usage) < len(SharedFSUsage):
        return "not everything is on a shared file system"
    if workflow.remote_execution_settings.precommand:
        return "--precommand is set"
    if not job.is_group():
        return "it runs a CWL tool" if job.is_cwl else ""
    for member in job.jobs:
        if member.is_cwl:
            return f"rule {member.rule.name} of its group runs a CWL tool"
        if member.resources.get("mpi"):
            return f"rule {member.rule.name} of its group starts an MPI program"
    return ""


def pack_workflow(workflow: Workflow) -> bytes:
    """Pack what workers need for the jobs of a workflow.

    By cloudpickle, since the settings hold closures.
    """
    import cloudpickle

    return bytes(cloudpickle.dumps(workflows.workflow_parts(workflow)))


def pack_recorded(job: Any, *, is_member: bool = False) -> tuple[bytes, bool]:
    """Pack an evaluated job whose body is one call of Snakemake's.

    Parameters
    ----------
    is_member
        Whether other jobs of its group may wait for it.

    Returns
    -------
    packed, is_reusable
        And whether the process that runs it can run the next one: if it only starts other programs, and runs no code of
        the user's itself.

    Raises
    ------
    Exception
        Whatever stands in the way: it can be packed by :func:`pack_parsed` then.
    """
    parts = evaluated.recorded_parts(job) | {"is_member": is_member}
    # A script gets it from the process that starts it.
    path = [] if job.is_shell else list(sys.path)
    starts_programs = bool(job.is_shell or job.is_script or job.is_wrapper)
    try:
        return _packed(pickling.dumps(parts, parsed=False, users_modules=False), path), starts_programs
    except pickle.PicklingError:
        return _packed(pickling.dumps(parts, parsed=False), path or list(sys.path)), False


def pack_parsed(job: Any, *, is_member: bool = False, known: bool = True) -> bytes:
    """Pack a job for a process that parses the Snakefile.

    Parameters
    ----------
    is_member
        Whether other jobs of its group may wait for it.
    known
        Whether its params and resources can be known now. Else, and also if they cannot be pickled, the worker
        evaluates them right before the body; those of a ``run`` block in any case, as with Snakemake's own executor.

    Raises
    ------
    Exception
        Whatever a part of the job raises that cannot be pickled: such a job is spawned.
    """
    extra = {"is_member": is_member, "created": evaluated.created_output(job)}
    if known and not job.is_run:
        try:
            return _packed(pickling.dumps(evaluated.job_parts(job, params=True, resources=True) | extra, parsed=True))
        except Exception:  # noqa: BLE001 - whatever a user's object raises; a raise of the second attempt is the outcome
            return _packed(pickling.dumps(evaluated.job_parts(job, params=False, resources=True) | extra, parsed=True))
    return _packed(pickling.dumps(evaluated.job_parts(job, params=False, resources=known) | extra, parsed=True))


def _packed(parts: bytes, path: Sequence[str] = ()) -> bytes:
    """Return a packed body with where its process looks for modules, which taking it apart may need already."""
    return pickle.dumps((path, parts), protocol=pickle.HIGHEST_PROTOCOL)


def bare(packed: bytes, workdir: str) -> tuple[Workflow, dict[str, Any]]:
    """Return a workflow without rules, and with what :func:`parse` makes one that has them.

    Parameters
    ----------
    workdir
        Where jobs run.
    """
    parts = pickle.loads(packed)  # noqa: S301 - from rank 1, over Dask's connection
    return workflows.bare_workflow(parts, workdir), parts


def parse(parts: dict[str, Any]) -> Workflow:
    """Parse the workflow in the current directory."""
    workflow = workflows.parsed_workflow(parts)
    pickling.know_snakefile(workflow.globals)
    return workflow


def run(workflow: Workflow, packed: bytes, report: dict[str, Any], mpi: str = "") -> None:
    """Prepare and run a packed job in this process.

    Parameters
    ----------
    report
        Gets, before the body starts, what rank 1 has to know: ``shadow_dir`` if it has to move what is in it, and
        ``tmpdir`` if the command that it records names that folder.
    mpi
        The launcher of MPI programs here, in place of the rule's own word in ``resources.mpi``.

    Raises
    ------
    UnpackableError
        If the job cannot be rebuilt here; its body has not been started then.
    Exception
        Whatever the body raises, as with Snakemake's local executor.
    """
    try:
        path, inner = pickle.loads(packed)  # noqa: S301 - from rank 1, over Dask's connection
        sys.path[:] = path or sys.path
        parts = pickle.loads(inner)  # noqa: S301 - as above
        is_member = parts.pop("is_member")
        if mpi:
            parts["resources"]["mpi"] = mpi
        job = rebuilt.rebuilt_job(workflow, parts)
        # What rank 1 left to this process is evaluated first: an error in it comes before the body.
        _ = job.resources
    except Exception as error:
        raise UnpackableError(f"{type(error).__name__}: {error}") from error
    try:
        body = rebuilt.prepared(workflow, job)
    except AttributeError as error:
        if error.obj is not job:
            raise
        raise UnpackableError(f"Snakemake asks for {error.name} of a job, which is new") from error
    report["tmpdir"] = rebuilt.tmpdir_to_tell(job)
    if job.shadow_dir and not is_member:
        report["shadow_dir"] = job.shadow_dir
    try:
        # With Snakemake's own executor, a body never runs in the thread in which the Snakefile was parsed.
        _in_a_thread(body) if "call" not in parts else body()
    except BaseException:
        if is_member:
            rebuilt.settle(workflow, job, failed=True)
        raise
    if is_member:
        rebuilt.settle(workflow, job, failed=False)


def _in_a_thread(body: Callable[[], None]) -> None:
    """Run a body in a thread of its own, and raise what it raises; the thread stays until the process ends."""
    from concurrent.futures import ThreadPoolExecutor

    ThreadPoolExecutor(1).submit(body).result()
