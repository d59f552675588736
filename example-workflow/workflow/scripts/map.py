"""Arrange the images in the plane so that like ones are near: t-SNE. One thread, so that a seed means one result."""

import sys

import numpy as np
from sklearn.manifold import TSNE

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

labels = np.load(snakemake.input.digits)["labels"]
distances = np.sqrt(np.load(snakemake.input.distances))
plane = TSNE(metric="precomputed", init="random", perplexity=30, random_state=snakemake.params.seed)
places = plane.fit_transform(distances)
print(f"{plane.n_iter_} iterations to a divergence of {plane.kl_divergence_:.3f}")

with open(snakemake.output[0], "w") as file:
    file.write("image,digit,x,y\n")
    for image, (digit, (x, y)) in enumerate(zip(labels, places, strict=True)):
        file.write(f"{image},{digit},{x:.2f},{y:.2f}\n")
