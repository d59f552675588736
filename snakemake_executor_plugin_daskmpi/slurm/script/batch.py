"""What a batch script says besides its plan: what to set up, what to run, where to write.

Runs on: the login node. Pure data, made from the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.settings.slurm_flags import SlurmSettings
    from snakemake_executor_plugin_daskmpi.slurm.script.container import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Everything in a batch script that is not planned."""

    job_name: str
    #: Absolute.
    workdir: str
    #: Where Slurm and all ranks write, and where the script leaves its exit code; relative to ``workdir`` or absolute.
    output: str
    exit_code_file: str
    #: The start of the command, up to the program: ``srun`` with its options.
    srun: tuple[str, ...]
    #: The program with its arguments, as it would run here: Python comes first.
    command: tuple[str, ...]
    #: The command line of which the script plans and submits the rest when time is over; empty if it does not.
    resubmits: tuple[str, ...] = ()
    #: Set in the script and thus for all ranks, in this order.
    exports: tuple[tuple[str, str], ...] = ()
    container: Container | None = None
    mail_user: str | None = None
    mail_type: str | None = None
    modules: tuple[str, ...] = ()
    conda_env: str | None = None
    #: Lines of shell, as the user wrote them.
    setup: str = ""
    #: Folder on each node, with variables of the node in it as the user wrote them.
    scratch: str | None = None

    @classmethod
    def of(  # noqa: PLR0913 - what no setting says, by name
        cls,
        settings: SlurmSettings,
        *,
        job_name: str,
        workdir: str,
        output: str,
        exit_code_file: str,
        srun: list[str],
        command: list[str],
        exports: dict[str, str],
        container: Container | None,
        resubmits: Sequence[str] = (),
    ) -> Batch:
        """Return what the settings and the launcher say together."""
        return cls(
            job_name=job_name,
            workdir=workdir,
            output=output,
            exit_code_file=exit_code_file,
            srun=tuple(srun),
            command=tuple(command),
            exports=tuple(exports.items()),
            container=container,
            resubmits=tuple(resubmits),
            mail_user=settings.mail_user,
            mail_type=settings.mail_type,
            modules=tuple((settings.modules or "").split()),
            conda_env=settings.conda_env,
            setup=settings.setup or "",
            scratch=settings.scratch,
        )
