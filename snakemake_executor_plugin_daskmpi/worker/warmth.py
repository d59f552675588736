"""What the processes of a worker's jobs are born with: Snakemake, the run's settings, and nothing of the user's.

Runs on: ranks >= 2, in the forkserver; its forks have it then.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.snakemake_internals import workflows
from snakemake_executor_plugin_daskmpi.warm import body

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.messages import RunContext


class UnsharableError(Exception):
    """One parse of the Snakefile cannot serve all jobs, for the reason that it gives."""


@dataclass(slots=True)
class Warmth:
    """What a fork needs for running a body."""

    #: A workflow without rules; None if nothing goes warm, for the reason that ``obstacle`` gives.
    bare: Any = None
    #: What makes a workflow that has rules.
    parts: dict[str, Any] = field(default_factory=dict)
    #: The workflow that all bodies share, with ``--daskmpi-shared-parse``.
    shared: Any = None
    obstacle: str = "no workflow was sent"
    #: Directory in which the Snakefile is parsed.
    workdir: str = ""
    #: Modules that forks are born with.
    modules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, context: RunContext) -> Warmth:
        """Get this process ready for a run.

        Raises
        ------
        UnsharableError
            If one parse is to be shared, and cannot be. This process has the user's threads then.
        Exception
            Whatever Snakemake raises.
        """
        os.chdir(context.workdir)
        if not context.workflow:
            return cls(obstacle="rank 1 has sent no workflow")
        warmth = cls(*body.bare(context.workflow, context.job_dir), obstacle="", workdir=context.workdir)
        warmth.modules = frozenset(sys.modules)
        if context.shared_parse:
            warmth.shared = warmth.parsed()
            threads = len(list(Path("/proc/self/task").iterdir())) - 1
            if threads:
                raise UnsharableError(f"the Snakefile has started {threads} threads, which no fork has")
        return warmth

    def parsed(self) -> Any:
        """Return the workflow with its rules: parsed by this process, unless all share one parse."""
        if self.shared is not None:
            workflows.after_fork(self.shared)
            return self.shared
        os.chdir(self.workdir)
        # The job may have a TMPDIR of its own.
        tempfile.tempdir = None
        # Modules that a job has just written are in no cache that says what a folder holds.
        importlib.invalidate_caches()
        return body.parse(self.parts)

    def tear_down(self) -> None:
        """Remove what its workflows have in folders for temporary files."""
        for workflow in (self.bare, self.shared):
            if workflow is not None:
                workflow.tear_down()
