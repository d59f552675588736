from pathlib import Path

Path(snakemake.output[0]).write_text(f"{snakemake.rule}: {snakemake.config} {Path(snakemake.input[0]).read_text()}")
