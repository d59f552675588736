"""The warm body: a job packed on rank 1 and run by a fork of a pre-parsed workflow.

Runs on: rank 1 (``obstacle``, ``pack_*``) and in the forkserver of ranks >= 2 (``load_workflow``, ``run``).
Called by: executor and warm.grouping; worker.forkserver and worker.child.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.settings import SharedFSUsage

from snakemake_executor_plugin_daskmpi.warm import internals, pickling

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


class UnpackableError(Exception):
    """A packed job could not be rebuilt in the forkserver. Never leaves the worker."""


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


def is_reusable(job: Any) -> bool:
    """Say whether a job's body only starts other programs and runs no user code in its own process."""
    return bool(job.is_shell or job.is_script or job.is_wrapper)


def pack_workflow(workflow: Workflow) -> bytes:
    """Pack what the forkserver needs to parse the same workflow.

    By cloudpickle, since the settings hold closures.
    """
    import cloudpickle

    return bytes(cloudpickle.dumps(internals.workflow_parts(workflow)))


def pack_job(job: Any, *, is_member: bool = False, evaluated: bool = True) -> bytes:
    """Pack an evaluated job.

    Parameters
    ----------
    is_member
        Whether other jobs of its group may wait for it.
    evaluated
        Whether its params and resources can be known now. Else, and also if they cannot be pickled, the worker
        evaluates them right before the body.

    Raises
    ------
    Exception
        Whatever a part of the job raises that cannot be pickled: such a job is spawned.
    """
    from snakemake.io import _IOFile

    extra = {"is_member": is_member}
    if evaluated:
        try:
            return pickling.dumps(internals.job_parts(job, params=True, resources=True) | extra, _IOFile)
        except Exception:  # noqa: BLE001 - whatever a user's object raises; a raise of the second attempt is the outcome
            return pickling.dumps(internals.job_parts(job, params=False, resources=True) | extra, _IOFile)
    return pickling.dumps(internals.job_parts(job, params=False, resources=False) | extra, _IOFile)


def load_workflow(packed: bytes) -> Workflow:
    """Parse a packed workflow in the current directory."""
    workflow = internals.parsed_workflow(pickle.loads(packed))  # noqa: S301 - from rank 1, over Dask's connection
    pickling.snakefile_globals.update(workflow.globals)
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
        parts = pickle.loads(packed)  # noqa: S301 - from rank 1, over Dask's connection
        is_member = parts.pop("is_member")
        if mpi:
            parts["resources"]["mpi"] = mpi
        job = internals.rebuilt_job(workflow, parts)
        # What was left to this process: an error of it comes before the body.
        _ = job.resources, job.params
    except Exception as error:
        raise UnpackableError(f"{type(error).__name__}: {error}") from error
    try:
        body = internals.prepared(workflow, job)
    except AttributeError as error:
        if error.obj is not job:
            raise
        raise UnpackableError(f"Snakemake asks for {error.name} of a job, which is new") from error
    report["tmpdir"] = internals.tmpdir_to_tell(job)
    if job.shadow_dir and not is_member:
        report["shadow_dir"] = job.shadow_dir
    try:
        body()
    except BaseException:
        if is_member:
            internals.settle(workflow, job, failed=True)
        raise
    if is_member:
        internals.settle(workflow, job, failed=False)
