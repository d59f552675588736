"""Compare two conditions gene by gene: log2 fold change, and how far it is from the scatter of the samples."""

import csv
from math import log2, sqrt
from pathlib import Path
from statistics import fmean, variance

snakemake = globals()["snakemake"]

treated, control = snakemake.params.contrast
groups = {
    condition: [s for s in snakemake.params.samples if snakemake.params.conditions[s] == condition]
    for condition in (treated, control)
}

with Path(snakemake.input[0]).open() as table:
    rows = list(csv.DictReader(table, delimiter="\t"))
sizes = {sample: sum(int(row[sample]) for row in rows) for sample in snakemake.params.samples}


def levels(row: dict[str, str], condition: str) -> list[float]:
    """Return the log2 counts per thousand of a gene in the samples of a condition."""
    return [log2(1 + 1e3 * int(row[sample]) / sizes[sample]) for sample in groups[condition]]


results = []
for row in rows:
    if sum(int(row[sample]) for sample in snakemake.params.samples) < snakemake.params.min_count:
        continue
    here, there = levels(row, treated), levels(row, control)
    change = fmean(here) - fmean(there)
    scatter = sqrt(variance(here) / len(here) + variance(there) / len(there) + 0.01)
    results.append((row["gene"], change, change / scatter))

results.sort(key=lambda result: (-abs(result[1]), result[0]))
with Path(snakemake.output[0]).open("w") as table:
    print("gene", "log2_fold_change", "statistic", sep="\t", file=table)
    for gene, change, statistic in results:
        print(gene, f"{change:.3f}", f"{statistic:.3f}", sep="\t", file=table)
Path(snakemake.log[0]).write_text(f"{treated} ({len(groups[treated])}) against {control} ({len(groups[control])})\n")
