"""Align reads by their first k-mer that the index has, with few mismatches and without gaps."""

import json
from collections.abc import Iterator
from pathlib import Path

snakemake = globals()["snakemake"]

index = json.loads(Path(snakemake.input.index).read_text())
size, genes, places = index["kmer"], index["genes"], index["places"]


def candidates(read: str) -> Iterator[tuple[str, int]]:
    """Yield where a read may begin."""
    for offset in range(len(read) - size + 1):
        for gene, begin in places.get(read[offset : offset + size], ()):
            if 0 <= begin - offset <= len(genes[gene]) - len(read):
                yield gene, begin - offset


def mismatches(read: str, gene: str, begin: int) -> int:
    """Count the bases in which a read differs from a gene."""
    return sum(a != b for a, b in zip(read, genes[gene][begin:], strict=False))


lines = Path(snakemake.input.fastq).read_text().splitlines()
aligned = 0
with Path(snakemake.output[0]).open("w") as sam:
    for name, read in zip(lines[::4], lines[1::4], strict=True):
        best = min(((mismatches(read, *place), place) for place in candidates(read)), default=None)
        if best is not None and best[0] <= snakemake.params.max_mismatches:
            aligned += 1
            distance, (gene, begin) = best
            print(name.removeprefix("@"), gene, begin + 1, f"{len(read)}M", f"NM:i:{distance}", sep="\t", file=sam)
        else:
            print(name.removeprefix("@"), "*", 0, "*", "*", sep="\t", file=sam)
Path(snakemake.log[0]).write_text(f"{aligned} of {len(lines) // 4} reads aligned with {snakemake.threads} threads\n")
