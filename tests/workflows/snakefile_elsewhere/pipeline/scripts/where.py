"""Tell where this runs, and what its input says."""

from pathlib import Path

snakemake = globals()["snakemake"]
text = Path(snakemake.input.table).read_text()
Path(snakemake.output[0]).write_text(f"{Path.cwd().name} {snakemake.config['setting']}\n{text}")
