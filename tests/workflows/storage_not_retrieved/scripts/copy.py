"""Copy the input, from the storage to the storage."""

from pathlib import Path

snakemake = globals()["snakemake"]
Path(snakemake.output[0]).write_text(f"{snakemake.input[0]}\n{Path(snakemake.input[0]).read_text()}")
