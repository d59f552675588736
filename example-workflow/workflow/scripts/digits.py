"""Unpack scikit-learn's handwritten digits and set test images aside. Writes images, labels and the two index lists."""

import sys

import numpy as np
from sklearn.datasets import load_digits

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(snakemake.params.seed).permutation(len(labels))
test, pool = np.split(order, [snakemake.params.test_images])
np.savez(snakemake.output[0], images=images, labels=labels, test=np.sort(test), pool=np.sort(pool))
print(f"{len(labels)} images, of which {len(test)} to test with")
