"""Put tables with the same columns one below the other, sorted."""

from pathlib import Path

snakemake = globals()["snakemake"]

tables = [Path(name).read_text().splitlines() for name in snakemake.input]
header = {table[0] for table in tables}
assert len(header) == 1, f"tables of different columns: {sorted(header)}"
lines = [*header, *sorted(line for table in tables for line in table[1:])]
Path(snakemake.output[0]).write_text("\n".join(lines) + "\n")
