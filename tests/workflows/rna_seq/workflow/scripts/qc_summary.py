"""Write one line per unit."""

import json
from pathlib import Path

snakemake = globals()["snakemake"]

units = [json.loads(Path(name).read_text()) for name in snakemake.input]
with Path(snakemake.output[0]).open("w") as table:
    print(*units[0], "kept_percent", sep="\t", file=table)
    for unit in units:
        print(*unit.values(), f"{100 * unit['kept'] / unit['total']:.1f}", sep="\t", file=table)
Path(snakemake.log[0]).write_text(f"{len(units)} units\n")
