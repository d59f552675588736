"""Write the sums of two tables."""

from pathlib import Path

Path(snakemake.output[0]).write_text(f"{snakemake.params.pandas['size'].sum()} {snakemake.params.numpy.sum(axis=0)}\n")
