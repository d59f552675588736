"""Plugins of other executors, for profiles that have their options; see ``plugins/``.

Runs on: the machine of the tests.
"""

from __future__ import annotations

import os
from pathlib import Path

_FOLDERS = (str(Path(__file__).parent / "plugins"), os.environ.get("PYTHONPATH", ""))
#: Variables of a Snakemake that is to have them.
PLUGINS = {"PYTHONPATH": os.pathsep.join(filter(None, _FOLDERS))}
