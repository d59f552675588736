"""Index the genes by their k-mers."""

import json
from collections import defaultdict
from pathlib import Path

snakemake = globals()["snakemake"]

lines = Path(snakemake.input[0]).read_text().split()
genes = dict(zip((line.removeprefix(">") for line in lines[::2]), lines[1::2], strict=True))
size = snakemake.params.kmer
places: dict[str, list[tuple[str, int]]] = defaultdict(list)
for gene, sequence in genes.items():
    for begin in range(len(sequence) - size + 1):
        places[sequence[begin : begin + size]].append((gene, begin))

index = {"kmer": size, "genes": genes, "places": places}
Path(snakemake.output[0]).write_text(json.dumps(index, sort_keys=True))
Path(snakemake.log[0]).write_text(f"{len(places)} different {size}-mers\n")
