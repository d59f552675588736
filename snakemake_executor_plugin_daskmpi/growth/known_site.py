"""What the site offers, as of a while ago at most.

Runs on: rank 1, in the link's event loop; what waits for Slurm, in a thread.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.slurm.inquiry import ask_site

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.slurm.site import Site

#: Seconds for which what Slurm has told holds: nodes come and go.
_HOLDS_S = 60.0


@dataclass(slots=True)
class KnownSite:
    """Asks Slurm, unless it has just told."""

    _told: tuple[float, Site] | None = None

    async def ask(self) -> Site:
        """Return what the site offers; LaunchError if Slurm does not tell."""
        now = time.monotonic()
        if self._told is None or now - self._told[0] > _HOLDS_S:
            self._told = now, await asyncio.to_thread(ask_site)
        return self._told[1]
