"""Write the mean squared error of a model on points that it has not seen."""

import csv
import json
from pathlib import Path

snakemake = globals()["snakemake"]

model = json.loads(Path(snakemake.input.model).read_text())
with Path(snakemake.input.test).open() as table:
    points = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(table, delimiter="\t")]


def predicted(x: float) -> float:
    """Return the model's value at a point."""
    return sum(value * (x / model["scale"]) ** power for power, value in enumerate(model["coefficients"]))


error = sum((predicted(x) - y) ** 2 for x, y in points) / len(points)
row = {"fold": snakemake.wildcards.fold, **model["settings"], "error": f"{error:.6f}"}
with Path(snakemake.output[0]).open("w") as table:
    print(*row, sep="\t", file=table)
    print(*row.values(), sep="\t", file=table)
