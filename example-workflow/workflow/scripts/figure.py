"""Draw the figure: a map of all digits, learning curves, where a forest looks, and the digits that stay hard."""

import csv
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.ticker import FixedLocator, NullLocator

sys.stdout = sys.stderr = open(snakemake.log[0], "w")

INK, FAINT, GRID = "#22262b", "#6b727c", "#e6e8eb"
# Ten colours that stay apart for colour-blind eyes: Paul Tol's "muted" set with a deeper sand, its grey made slate.
OF_DIGIT = "#332288 #cc6677 #117733 #d9a520 #5fb4e0 #882255 #44aa99 #999933 #aa4499 #66717e".split()
# Name and colour of each method (Okabe and Ito's colours).
OF_METHOD = {
    "mean": ("nearest mean", "#7d848d"),
    "linear": ("linear fit", "#e69f00"),
    "forest": ("random forest", "#009e73"),
    "neighbour": ("nearest neighbour", "#56b4e9"),
    "shifted_neighbour": ("nearest neighbour, shifted", "#0072b2"),
    "kernel": ("kernel fit", "#cc79a7"),
    "shifted_kernel": ("kernel fit, shifted", "#d55e00"),
}
TILE = 9  # canvas pixels per image: eight of its own, one of space


def rows_of(path):
    """Read a CSV file as dictionaries."""
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def heading(axes, letter, title, note):
    """Write a panel's letter, title and one line of explanation above it."""
    at = {"xy": (0, 1), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(letter, xytext=(0, 25), fontsize=16, fontweight="bold", **at)
    axes.annotate(title, xytext=(20, 25), fontsize=14, fontweight="bold", **at)
    axes.annotate(note, xytext=(20, 9), fontsize=10, color=FAINT, **at)


def in_cells(places, side):
    """Give each point the nearest free cell of a grid, crowded points first, so that no image hides another."""
    margin = 3  # where groups at the rim spread to
    span = places.max(0) - places.min(0)
    cells = (places - places.min(0)) / span.max() * (side - 1 - 2 * margin)
    cells += ((side - 1) - cells.max(0)) / 2
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    free = np.ones(len(grid), bool)
    taken = np.empty((len(places), 2), int)
    to_others = np.sort(((cells[:, None] - cells) ** 2).sum(2), axis=1)
    for point in np.argsort(to_others[:, 12]):
        best = np.where(free, ((grid - cells[point]) ** 2).sum(1), np.inf).argmin()
        taken[point] = grid[best]
        free[best] = False
    return taken


def mosaic(images, digits, cells, side):
    """Paint each image into its cell: ink in the colour of its digit, on a tint of it."""
    canvas = np.ones((side * TILE, side * TILE, 3))
    for image, digit, (column, row) in zip(images, digits, cells, strict=True):
        ink = (0.13 + 0.87 * (image / 16) ** 0.8).reshape(8, 8, 1)
        top, left = (side - 1 - row) * TILE, column * TILE
        canvas[top : top + 8, left : left + 8] = 1 - ink * (1 - np.array(to_rgb(OF_DIGIT[digit])))
    return canvas


def draw_map(axes, images, places):
    """Show every image where t-SNE put it, and name the groups."""
    side = 66
    digits = np.array([int(row["digit"]) for row in places])
    cells = in_cells(np.array([(float(row["x"]), float(row["y"])) for row in places]), side)
    axes.imshow(mosaic(images, digits, cells, side), extent=(0, side, 0, side), interpolation="nearest")
    axes.set(anchor="NW")
    axes.set_axis_off()
    heading(
        axes, "A", f"{len(images):,} digits, like ones side by side", "each tile is an image; colour: the true digit"
    )


def draw_curves(axes, curves, answer, target):
    """Show the share of test images misread over the number of labelled ones, for each method."""
    needed = {row["method"]: row["labels_needed"] for row in answer}
    best = answer[0]["method"]
    fewest = min(int(row["labels"]) for row in curves)
    sizes = sorted({int(row["labels"]) for row in curves if row["method"] == "forest"})
    ends = []
    for method, (name, colour) in OF_METHOD.items():
        rows = [row for row in curves if row["method"] == method]
        labels = [int(row["labels"]) for row in rows]
        mean, least, most = ([float(row[f"{k}_error_percent"]) for row in rows] for k in ("mean", "least", "most"))
        refined = len(rows) > len(sizes)
        axes.fill_between(labels, least, most, color=colour, alpha=0.2 if refined else 0.1, linewidth=0)
        axes.plot(labels, mean, color=colour, linewidth=2.4 if refined else 1.4, marker="o", markersize=4.5, mew=0)
        ends.append((np.log10(mean[-1]), name, colour, needed[method], method == best))
    axes.set(xscale="log", yscale="log", xlim=(fewest * 0.93, sizes[-1] * 1.04), ylim=(0.6, 60))
    axes.axhline(target, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(fewest, target * 0.96, f"target: {target} % misread", va="top")
    if needed[best] != "never":
        at, colour = int(needed[best]), OF_METHOD[best][1]
        axes.vlines(at, 0.6, target, color=colour, linewidth=1.4, linestyle=(0, (1, 1.5)))
        axes.text(at * 0.95, 0.7, f"{at} labels\nare enough", ha="right", fontsize=12, fontweight="bold", color=colour)
    name_ends(axes, ends, sizes[-1])
    axes.xaxis.set(major_locator=FixedLocator(sizes), minor_locator=NullLocator(), major_formatter="{x:,.0f}")
    axes.yaxis.set(major_locator=FixedLocator([1, 2, 5, 10, 20, 50]), minor_locator=NullLocator())
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("labelled digits seen")
    heading(axes, "B", "How many labels until it reads?", "unseen digits misread: mean, least and most of four draws")


def name_ends(axes, ends, last):
    """Write each curve's name and answer beside its right end, moved apart where they would overlap."""
    ends = sorted(ends)
    heights = [end[0] for end in ends]
    gap = 0.105  # of a decade: a line of text
    for _ in range(500):
        for low in range(len(ends) - 1):
            lacking = max(0, gap - (heights[low + 1] - heights[low]))
            heights[low] -= lacking / 2
            heights[low + 1] += lacking / 2
    top = axes.get_ylim()[1]
    axes.text(last * 8.6, top, "labels\nneeded", ha="right", va="top", color=FAINT, linespacing=1.1)
    for height, (end, name, colour, needed, is_best) in zip(heights, ends, strict=True):
        weight = "bold" if is_best else "normal"
        link = {"arrowstyle": "-", "color": colour, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (last * 1.03, 10**end), (last * 1.2, 10**height), annotation_clip=False, arrowprops=link)
        axes.text(last * 1.25, 10**height, name, color=colour, va="center", fontweight=weight)
        axes.text(last * 8.6, 10**height, needed, color=colour, va="center", ha="right", fontweight=weight)


def draw_importance(grid, images, labels, importance):
    """Show, for each digit, where hiding a patch costs the forest its trust, with the digit's average shape."""
    drops = np.zeros((10, 8, 8))
    for row in importance:
        drops[int(row["digit"]), int(row["row"]), int(row["column"])] = float(row["drop_percent"])
    colours = LinearSegmentedColormap.from_list("drop", ["#f4f5f6", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000"])
    for digit in range(10):
        axes = plt.subplot(grid[digit // 5, digit % 5])
        shown = axes.imshow(drops[digit], cmap=colours, vmin=0, vmax=drops.max(), interpolation="nearest")
        shape = np.pad(images[labels == digit].mean(0).reshape(8, 8), 1)
        axes.contour(range(-1, 9), range(-1, 9), shape, levels=[6.5], colors=[INK], linewidths=1.6)
        axes.set(xticks=[], yticks=[], xlim=(-0.6, 7.6), ylim=(7.6, -0.6), anchor="N")
        axes.spines[:].set_visible(False)
        if digit == 0:
            heading(axes, "C", "Where a random forest looks", "trust it loses where a 3 × 3 patch is hidden")
    bar = plt.colorbar(shown, cax=plt.subplot(grid[:, 5]), format="{x:.0f} %")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, length=0)


def draw_hardest(grid, images, hardest):
    """Show the unseen images that even the best methods misread."""
    for place, row in enumerate(hardest[:10]):
        axes = plt.subplot(grid[place // 5, place % 5])
        axes.imshow(images[int(row["image"])].reshape(8, 8), cmap="Greys", interpolation="nearest")
        axes.set(xticks=[], yticks=[], anchor="N")
        axes.spines[:].set_visible(False)
        axes.set_xlabel(f"{row['digit']} → {row['read_as']}", fontsize=12, labelpad=2)
        if place == 0:
            heading(axes, "D", "Hard to read", "what it is → what is read after 1,000 labels")


plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK, "axes.labelcolor": INK})
plt.rcParams.update({"axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})

data = np.load(snakemake.input.digits)
curves, answer = rows_of(snakemake.input.curves), rows_of(snakemake.input.answer)
target, best = snakemake.params.target, answer[0]

figure = plt.figure(figsize=(17.6, 10.4))
question = "How many labelled digits does it take to read handwriting?"
finding = f"After {best['labels_needed']} labelled examples, the best of seven methods reads {100 - target} of 100"
finding += " unseen digits right."
if best["method"].startswith("shifted"):
    finding += " It knows that a digit moved a little is the same digit."
source = "Images: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998), from scikit-learn"
figure.text(0.017, 0.957, question, fontsize=27, fontweight="bold", va="center")
figure.text(0.0175, 0.913, finding, fontsize=14, color=FAINT, va="center")
figure.text(0.983, 0.012, source, fontsize=9, color=FAINT, ha="right")

halves = figure.add_gridspec(1, 2, width_ratios=(1, 1.03), left=0.017, right=0.983, top=0.83, bottom=0.05, wspace=0.07)
rows = halves[1].subgridspec(2, 1, height_ratios=(2.35, 1), hspace=0.42)
draw_map(figure.add_subplot(halves[0]), data["images"], rows_of(snakemake.input.map))
draw_curves(figure.add_subplot(rows[0].subgridspec(1, 2, width_ratios=(1, 0.47), wspace=0)[0]), curves, answer, target)
panels = rows[1].subgridspec(1, 2, width_ratios=(1.12, 1), wspace=0.2)
tiles = panels[0].subgridspec(2, 6, width_ratios=(1, 1, 1, 1, 1, 0.14), wspace=0.08, hspace=0.06)
draw_importance(tiles, data["images"], data["labels"], rows_of(snakemake.input.importance))
draw_hardest(panels[1].subgridspec(2, 5, wspace=0.08, hspace=0.42), data["images"], rows_of(snakemake.input.hardest))
figure.savefig(snakemake.output[0], dpi=150)
print(f"{snakemake.output[0]}: {len(curves)} points on {len(OF_METHOD)} curves")
