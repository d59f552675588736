"""Write all that a script is told."""

import sys

from beside import described

with open(snakemake.output.text, "w") as file, open(snakemake.log[0], "w") as log:
    print(snakemake.input.first, snakemake.input.rest, list(snakemake.input), file=file)
    print(snakemake.params.table, snakemake.params.word, file=file)
    print(snakemake.threads, snakemake.resources.mem_mb, snakemake.resources.word, snakemake.rule, file=file)
    print(snakemake.config, dict(snakemake.wildcards.items()), snakemake.bench_iteration, file=file)
    print(described(snakemake.input.rest), file=file)
    sys.stderr = log
    print("a line for the log", file=sys.stderr)
with open(snakemake.output.side, "w") as file:
    print(snakemake.scriptdir.endswith("scripts"), __name__, file=file)
