"""Write the parameters."""

from pathlib import Path

snakemake = globals()["snakemake"]
Path(snakemake.log[0]).write_text("nothing special\n")
Path(snakemake.output[0]).write_text(f"{snakemake.params.word} {sum(snakemake.params.numbers)}\n")
