from pathlib import Path

Path(snakemake.output[0]).write_text(Path(snakemake.input[0]).read_text().upper() + f"{snakemake.rule}\n")
