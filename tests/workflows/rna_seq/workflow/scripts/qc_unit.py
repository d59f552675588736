"""Put together what trimming and alignment say about a unit."""

import json
from pathlib import Path

snakemake = globals()["snakemake"]

stats = dict(line.split("\t") for line in Path(snakemake.input.stats).read_text().splitlines())
genes = [line.split("\t")[1] for line in Path(snakemake.input.sam).read_text().splitlines()]
summary = {
    "unit": f"{snakemake.wildcards.sample}-{snakemake.wildcards.unit}",
    **{name: int(number) for name, number in stats.items()},
    "aligned": sum(gene != "*" for gene in genes),
}
Path(snakemake.output[0]).write_text(json.dumps(summary, indent=1) + "\n")
Path(snakemake.log[0]).write_text(f"{summary['unit']} is done\n")
