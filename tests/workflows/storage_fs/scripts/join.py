"""Join the inputs, which are local files wherever they are stored."""

from pathlib import Path

snakemake = globals()["snakemake"]
text = Path(snakemake.input.stored).read_text() + Path(snakemake.input.local).read_text()
for name in snakemake.output:
    Path(name).write_text(f"{name}\n{text}")
