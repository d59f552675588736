"""Join the inputs, which Snakemake has fetched."""

from pathlib import Path

snakemake = globals()["snakemake"]
Path(snakemake.output[0]).write_text("".join(Path(name).read_text() for name in snakemake.input.texts))
