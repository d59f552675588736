"""Tell whether this runs in the shadow folder."""

from pathlib import Path

snakemake = globals()["snakemake"]
Path("left_behind").touch()
in_shadow = "/elsewhere/shadow/" in str(Path.cwd())
Path(snakemake.output[0]).write_text(f"{in_shadow} {Path(snakemake.input[0]).read_text()}")
