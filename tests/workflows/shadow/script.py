"""Leave something behind in the current folder."""

from pathlib import Path

Path("left_behind").touch()
Path(snakemake.output[0]).write_text(f"{len(Path(snakemake.input[0]).read_text())} {Path('Snakefile').exists()}\n")
