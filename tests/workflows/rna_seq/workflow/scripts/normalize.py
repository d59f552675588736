"""Write counts per million reads of a sample."""

import csv
from pathlib import Path

snakemake = globals()["snakemake"]

with Path(snakemake.input[0]).open() as table:
    rows = list(csv.DictReader(table, delimiter="\t"))
samples = [name for name in rows[0] if name != "gene"]
sizes = {sample: sum(int(row[sample]) for row in rows) for sample in samples}

with Path(snakemake.output[0]).open("w") as normalized:
    print("gene", *samples, sep="\t", file=normalized)
    for row in rows:
        print(row["gene"], *(f"{1e6 * int(row[s]) / sizes[s]:.1f}" for s in samples), sep="\t", file=normalized)
Path(snakemake.log[0]).write_text("".join(f"{sample} has {size} reads\n" for sample, size in sizes.items()))
