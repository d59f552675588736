"""What a profile says to Snakemake's slurm executor plugin, for a run with this executor instead.

Runs on: the process that is Snakemake. Pure.

What rules ask for, which that plugin reads from their resources, is read in ``annotations`` and ``resources``.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

#: What goes to sbatch here as it does there, by the option of the plugin.
_FOR_SBATCH = {
    "slurm-reservation": "--reservation",
    "slurm-exclude-failed-nodes": "--exclude",
    "slurm-jobname-prefix": "--job-name",
}
#: What is so here, anyway: Slurm's jobs are not requeued, accounts not guessed, and logs kept.
_SO_ANYWAY = frozenset({"slurm-no-requeue", "slurm-no-account", "slurm-keep-successful-logs"})


def take_over(settings: Settings, options: Mapping[str, Any]) -> list[str]:
    """Give settings what options for other executors say to Slurm; return the options that have no effect here.

    What the settings say themselves goes first.
    """
    words = [f"{flag}={options[name]}" for name, flag in _FOR_SBATCH.items() if name in options]
    if words:
        # The last of equal ones counts.
        settings.sbatch_args = "\n".join(filter(None, [shlex.join(words), settings.sbatch_args]))
    if "slurm-qos" in options:
        settings.qos = settings.qos or str(options["slurm-qos"])
    return [name for name in options if name not in {*_FOR_SBATCH, *_SO_ANYWAY, "slurm-qos"}]
