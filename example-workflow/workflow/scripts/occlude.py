"""Hide each 3 x 3 patch of some test images in turn: by how much does the forest's trust in the right digit drop?"""

import pickle
import sys

import numpy as np

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

data = np.load(snakemake.input.digits)
images, labels = data["images"], data["labels"]
part, parts = map(int, snakemake.wildcards.scatteritem.split("-of-"))
mine = data["test"][part - 1 :: parts]
with open(snakemake.input.model, "rb") as file:
    forest = pickle.load(file)

# For each image 64 copies, the n-th of which lacks the patch around pixel n: there it shows the average image.
rows, columns = np.indices((8, 8)).reshape(2, 64)
hidden = (abs(rows[:, None] - rows) <= 1) & (abs(columns[:, None] - columns) <= 1)
copies = np.where(hidden, images.mean(0), images[mine][:, None, :]).reshape(-1, 64)

right = labels[mine]
before = forest.predict_proba(images[mine])[np.arange(len(mine)), right]
after = forest.predict_proba(copies).reshape(len(mine), 64, 10)[np.arange(len(mine)), :, right]
drop = 100 * (before[:, None] - after)
print(f"{len(mine)} images, each with 64 patches hidden; mean drop {drop.mean():.2f} %")

with open(snakemake.output[0], "w") as file:
    file.write("image,digit,row,column,drop_percent\n")
    for image, digit, of_pixel in zip(mine, right, drop, strict=True):
        file.writelines(f"{image},{digit},{n // 8},{n % 8},{value:.2f}\n" for n, value in enumerate(of_pixel))
