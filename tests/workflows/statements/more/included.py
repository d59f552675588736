from pathlib import Path

Path(snakemake.output[0]).write_text(f"{Path(snakemake.scriptdir).name} {Path.cwd().name}\n")
