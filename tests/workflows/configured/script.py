import json
from pathlib import Path

Path(snakemake.output[0]).write_text(json.dumps(snakemake.config, indent=1, sort_keys=True) + "\n")
