"""Write a word."""

from pathlib import Path

Path(globals()["snakemake"].output[0]).write_text("python\n")
