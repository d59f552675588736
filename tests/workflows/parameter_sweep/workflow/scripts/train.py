"""Fit a polynomial by least squares with a penalty on its coefficients."""

import csv
import json
from pathlib import Path

snakemake = globals()["snakemake"]


def solution(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve linear equations by elimination; the matrix is positive definite, so that no rows are exchanged."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = rows[row][pivot] / rows[pivot][pivot]
            rows[row] = [a - factor * b for a, b in zip(rows[row], rows[pivot], strict=True)]
    found = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(rows[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (rows[row][size] - rest) / rows[row][row]
    return found


settings = snakemake.params.settings
with Path(snakemake.input[0]).open() as table:
    points = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(table, delimiter="\t")]

degree, penalty = int(settings["degree"]), float(settings["penalty"])
scale = max(abs(x) for x, _ in points) if settings["scaling"] == "unit" else 1.0
powers = [[(x / scale) ** power for power in range(degree + 1)] for x, _ in points]
normal = [
    [sum(p[i] * p[j] for p in powers) + (penalty if i == j else 0) for j in range(degree + 1)]
    for i in range(degree + 1)
]
right = [sum(p[i] * y for p, (_, y) in zip(powers, points, strict=True)) for i in range(degree + 1)]

model = {
    "settings": {"degree": degree, "penalty": penalty, "scaling": settings["scaling"]},
    "scale": round(scale, snakemake.params.digits),
    "coefficients": [round(value, snakemake.params.digits) for value in solution(normal, right)],
}
Path(snakemake.output[0]).write_text(json.dumps(model, indent=1) + "\n")
Path(snakemake.log[0]).write_text(f"{len(points)} points, {snakemake.threads} threads\n")
