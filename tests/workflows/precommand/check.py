"""Fail if the precommand has not set its variable."""

import os
from pathlib import Path

snakemake = globals()["snakemake"]
assert os.environ.get("CASE_PRECOMMAND", "") == snakemake.config.get("expected", "")
Path(snakemake.output[0]).write_text("as expected\n")
