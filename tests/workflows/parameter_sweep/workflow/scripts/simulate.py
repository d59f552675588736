"""Make up points of a curve with noise."""

import random
from math import sin
from pathlib import Path

snakemake = globals()["snakemake"]

params = snakemake.params
dice = random.Random(params.seed)
with Path(snakemake.output[0]).open("w") as table:
    print("x", "y", sep="\t", file=table)
    for number in range(params.points):
        x = 2 * number / (params.points - 1) - 1
        y = sin(3 * x) + dice.gauss(0, params.noise)
        print(f"{x:.{params.digits}f}", f"{y:.{params.digits}f}", sep="\t", file=table)
