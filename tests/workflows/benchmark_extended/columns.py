"""Write what a benchmark says about a job beside its times."""

import json
from pathlib import Path

snakemake = globals()["snakemake"]
known = ("rule_name", "wildcards", "params", "threads", "input_size_mb")
with Path(snakemake.output[0]).open("w") as file:
    for line in Path(snakemake.params.table).read_text().splitlines():
        row = json.loads(line)
        print(*sorted(row), *(f"{name}={row.get(name)}" for name in known), file=file)
        print("mem_mb", row.get("resources", {}).get("mem_mb"), file=file)
