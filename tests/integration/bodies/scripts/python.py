"""A script that shows most of what its ``snakemake`` object has."""

# ruff: noqa: F821 - Snakemake puts its object in front of a script.
from pathlib import Path

with Path(snakemake.output[0]).open("w") as file:
    print(snakemake.input.first, list(snakemake.input.rest), snakemake.params.table, file=file)
    print(snakemake.config["suffix"], snakemake.threads, snakemake.rule, list(snakemake.log), file=file)
    print(Path(snakemake.scriptdir).name, dict(snakemake.wildcards), Path(__file__).suffix, file=file)
Path(snakemake.log[0]).write_text("a line\n")
