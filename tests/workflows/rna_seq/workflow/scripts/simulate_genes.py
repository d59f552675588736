"""Make up the genes of a small genome."""

import random
from pathlib import Path

snakemake = globals()["snakemake"]

simulation = snakemake.params.simulation
dice = random.Random(simulation["seed"])
genes = {
    f"gene{number:02}": "".join(dice.choices("ACGT", k=simulation["gene_length"]))
    for number in range(1, simulation["genes"] + 1)
}

with Path(snakemake.output.fasta).open("w") as fasta:
    for name, sequence in genes.items():
        print(f">{name}", sequence, sep="\n", file=fasta)
with Path(snakemake.output.annotation).open("w") as annotation:
    print("gene", "length", sep="\t", file=annotation)
    for name, sequence in genes.items():
        print(name, len(sequence), sep="\t", file=annotation)
Path(snakemake.log[0]).write_text(f"{len(genes)} genes\n")
