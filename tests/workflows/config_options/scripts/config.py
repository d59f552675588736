"""Write the config that a script gets to see."""

import json
from pathlib import Path

snakemake = globals()["snakemake"]
Path(snakemake.output[0]).write_text(json.dumps(snakemake.config, sort_keys=True) + "\n")
