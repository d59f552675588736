"""Write how many words the input has."""

from pathlib import Path

snakemake = globals()["snakemake"]
words = Path(snakemake.input[0]).read_text().split()
Path(snakemake.output[0]).write_text(f"{snakemake.wildcards.name} {len(words)} {snakemake.config['word']}\n")
