"""Train one method on a few labelled digits and let it read the test images. NumPy alone, so that a job is short."""

import sys

import numpy as np
from training import draw, write_predictions

sys.stdout = sys.stderr = open(snakemake.log[0], "w")


def ridge_fit(gram, targets, ridge):
    """Solve (gram + ridge) weights = targets."""
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), targets)


data = np.load(snakemake.input.digits)
images, labels, test = data["images"], data["labels"], data["test"]
method, count, repeat = snakemake.wildcards.method, int(snakemake.wildcards.labels), int(snakemake.wildcards.repeat)

train = draw(labels, data["pool"], count, snakemake.params.seed, repeat)
one_hot = np.eye(10)[labels[train]]

if method == "mean":
    means = one_hot.T @ images[train] / one_hot.sum(0)[:, None]
    read = ((images[test, None] - means) ** 2).sum(2).argmin(1)
elif method == "linear":
    centre = images[train].mean(0)
    pixels = images[train] - centre
    weights = ridge_fit(pixels.T @ pixels, pixels.T @ (one_hot - 0.1), ridge=100)
    read = ((images[test] - centre) @ weights).argmax(1)
else:
    distances = np.load(snakemake.input.distances, mmap_mode="r")
    between, among = distances[np.ix_(test, train)], distances[np.ix_(train, train)]
    if method.endswith("neighbour"):
        read = labels[train][between.argmin(1)]
    else:
        gamma = snakemake.params.kernel["gamma"]
        weights = ridge_fit(np.exp(-gamma * among), one_hot - 0.1, snakemake.params.kernel["ridge"])
        read = (np.exp(-gamma * between) @ weights).argmax(1)

write_predictions(snakemake.output[0], count, labels, test, {repeat: read})
print(f"{method}, {count} labels: {(read != labels[test]).sum()} of {len(test)} misread")
