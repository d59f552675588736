"""Train a random forest on all labelled digits and keep it."""

import pickle
import sys

import numpy as np
from sklearn.ensemble import RandomForestClassifier

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

data = np.load(snakemake.input.digits)
pool = data["pool"]
forest = RandomForestClassifier(snakemake.params.trees, n_jobs=snakemake.threads, random_state=snakemake.params.seed)
forest.fit(data["images"][pool], data["labels"][pool])
print(f"{len(forest.estimators_)} trees from {len(pool)} images, {snakemake.threads} threads")
forest.set_params(n_jobs=1)  # its readers have one thread
with open(snakemake.output[0], "wb") as file:
    pickle.dump(forest, file)
