"""Train random forests on a few labelled digits and let them read the test images, with all threads of the job."""

import sys

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from training import draw, write_predictions

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

data = np.load(snakemake.input.digits)
images, labels, test = data["images"], data["labels"], data["test"]
count = int(snakemake.wildcards.labels)

read_by_repeat = {}
for repeat in range(snakemake.params.repeats):
    train = draw(labels, data["pool"], count, snakemake.params.seed, repeat)
    forest = RandomForestClassifier(snakemake.params.trees, n_jobs=snakemake.threads, random_state=repeat)
    read_by_repeat[repeat] = forest.fit(images[train], labels[train]).predict(images[test])
    print(f"{count} labels, {snakemake.threads} threads: {(read_by_repeat[repeat] != labels[test]).sum()} misread")

write_predictions(snakemake.output[0], count, labels, test, read_by_repeat)
