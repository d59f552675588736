from pathlib import Path

with open(snakemake.input[0]) as pipe:
    Path(snakemake.output[0]).write_text(f"{sum(1 for _ in pipe)}\n")
