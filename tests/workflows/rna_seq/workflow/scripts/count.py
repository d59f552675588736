"""Count the reads of each gene."""

import csv
from collections import Counter
from pathlib import Path

snakemake = globals()["snakemake"]

with Path(snakemake.input.annotation).open() as annotation:
    genes = [row["gene"] for row in csv.DictReader(annotation, delimiter="\t")]
counts = Counter(line.split("\t")[1] for line in Path(snakemake.input.sam).read_text().splitlines())

with Path(snakemake.output[0]).open("w") as table:
    print("gene", "count", sep="\t", file=table)
    for gene in genes:
        print(gene, counts[gene], sep="\t", file=table)
Path(snakemake.log[0]).write_text(f"{counts['*']} reads without a gene\n")
