"""Make up the reads of one unit: every second gene is expressed the more where there is a dose."""

import random
from pathlib import Path

snakemake = globals()["snakemake"]

DOSES = {"control": 1.0, "treated": 4.0}

simulation, condition = snakemake.params.simulation, snakemake.params.condition
name = f"{snakemake.wildcards.sample}-{snakemake.wildcards.unit}"
# A string seeds the same way in all processes, unlike its hash.
dice = random.Random(f"{simulation['seed']} {name}")

lines = Path(snakemake.input.fasta).read_text().split()
genes = dict(zip((line.removeprefix(">") for line in lines[::2]), lines[1::2], strict=True))
weights = [DOSES[condition] if number % 2 else 1.0 for number in range(len(genes))]
length = simulation["read_length"]


def read_of(sequence: str) -> str:
    """Return a piece of a gene with errors, and an adapter where the piece is short."""
    begin = dice.randrange(len(sequence) - length // 2)
    piece = sequence[begin : begin + length]
    piece = "".join(dice.choice("ACGT") if dice.random() < simulation["error_rate"] else base for base in piece)
    return (piece + snakemake.params.adapter * 4)[:length]


def quality(position: int) -> str:
    """Return a Phred score as a character; scores fall towards the end of a read."""
    score = 38 - position // 3 + snakemake.params.quality_offset + dice.randint(-3, 3)
    return chr(33 + max(2, min(40, score)))


with Path(snakemake.output.fastq).open("w") as fastq:
    for number, gene in enumerate(dice.choices(list(genes), weights, k=simulation["reads_per_unit"])):
        read = read_of(genes[gene])
        print(f"@{name}.{number}", read, "+", "".join(map(quality, range(length))), sep="\n", file=fastq)
Path(snakemake.log[0]).write_text(f"{simulation['reads_per_unit']} reads of {condition}\n")
