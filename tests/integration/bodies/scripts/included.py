"""A script of an included file: its path is relative to that file."""

# ruff: noqa: F821 - Snakemake puts its object in front of a script.
from pathlib import Path

Path(snakemake.output[0]).write_text(f"{snakemake.params.word}\n")
