"""Write the periods whose mean is far from that of all periods."""

from pathlib import Path
from statistics import fmean

snakemake = globals()["snakemake"]

lines = (line.split() for line in Path(snakemake.input[0]).read_text().splitlines())
means = {period: float(mean) for period, mean in lines}
middle = fmean(means.values())
extremes = {p: mean - middle for p, mean in means.items() if abs(mean - middle) > snakemake.params.threshold}
Path(snakemake.output[0]).write_text("".join(f"{period} {distance:+.3f}\n" for period, distance in extremes.items()))
Path(snakemake.log[0]).write_text(f"{len(extremes)} of {len(means)} periods\n")
