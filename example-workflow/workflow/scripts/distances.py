"""Squared distances between all images, each pair at its best shift. Pixels are whole numbers, so these are exact."""

import sys

import numpy as np

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

images = np.load(snakemake.input[0])["images"]
reach = snakemake.params.reach
side = range(2 * reach + 1)

framed = np.pad(images.reshape(-1, 8, 8), ((0, 0), (reach, reach), (reach, reach)))
moved = np.concatenate([framed[:, down : down + 8, right : right + 8] for down in side for right in side])
moved = moved.reshape(-1, 64)

# All at once, (images, shifts x images) numbers of 8 bytes, and once more while they are summed: fast, and wasteful.
squared = (images**2).sum(1)[:, None] - 2 * images @ moved.T + (moved**2).sum(1)
best = squared.reshape(len(images), -1, len(images)).min(1)
np.save(snakemake.output[0], np.minimum(best, best.T).astype(np.float32))
print(f"{len(images)} images, {len(moved) // len(images)} shifts, {squared.nbytes / 1e6:.0f} MB of distances")
