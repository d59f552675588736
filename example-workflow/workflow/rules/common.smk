"""Functions that rules share: which files belong to a pass, and how scores are counted."""

import csv
import math
from pathlib import Path

TARGET = config["target_error_percent"]
METHODS = [*config["methods"], "forest"]


wildcard_constraints:
    method="|".join(METHODS),
    metric="plain|shifted",
    stage="coarse|fine",
    labels=r"\d+",
    repeat=r"\d+",


def read_rows(paths):
    """Return the rows of CSV files, one after the other, as dictionaries."""
    return [row for path in paths for row in csv.DictReader(Path(path).read_text().splitlines())]


def write_rows(path, rows, log):
    """Write dictionaries with the same keys as a CSV file, and say so in a log."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    Path(log).write_text(f"{path}: {len(rows)} rows\n")


def distances_of(wildcards):
    """Return the distance matrix that a method needs, or nothing."""
    metric = config["methods"][wildcards.method]
    return f"results/distances/{metric}.npy" if metric else []


def distances_mem_mb(wildcards):
    """Return the memory for all distances in all shifts at once: two arrays of 8-byte numbers, and Python itself."""
    reach = config["shift_pixels"] if wildcards.metric == "shifted" else 0
    return round(200 + 2 * (2 * reach + 1) ** 2 * 1797**2 * 8 / 1e6)


def predictions_of(wildcards):
    """Return the predictions to be scored: of all methods at the coarse sizes, of the finalists at the fine ones."""
    method, stage = wildcards.method, wildcards.stage
    if stage == "fine":
        plan = read_rows([checkpoints.finalists.get().output.plan])
        sizes = [row["labels"] for row in plan if row["method"] == method]
    else:
        sizes = config["coarse_labels"]
    if method == "forest":
        return expand("results/predictions/forest/{labels}.csv", labels=sizes)
    return expand(
        "results/predictions/{method}/{labels}/{repeat}.csv",
        method=method,
        labels=sizes,
        repeat=range(config["repeats"]),
    )


def fine_scores(wildcards):
    """Return the scores of the second pass. Known only after the checkpoint."""
    plan = read_rows([checkpoints.finalists.get().output.plan])
    return expand("results/scores/fine/{method}.csv", method=sorted({row["method"] for row in plan}))


def finalists_at_full_size(wildcards):
    """Return what the finalists made of the test images after seeing the most labels."""
    plan = read_rows([checkpoints.finalists.get().output.plan])
    return expand(
        "results/predictions/{method}/{labels}/{repeat}.csv",
        method=sorted({row["method"] for row in plan}),
        labels=max(config["coarse_labels"]),
        repeat=range(config["repeats"]),
    )


def scores_of(method, predictions):
    """Return, for each number of labels, the share of test images misread: its mean, least and most over repeats."""
    errors = {}
    for path in predictions:
        for row in read_rows([path]):
            of_labels = errors.setdefault(int(row["labels"]), {})
            of_labels.setdefault(row["repeat"], []).append(row["digit"] != row["read_as"])
    rows = []
    for labels, repeats in sorted(errors.items()):
        percent = [100 * sum(misread) / len(misread) for misread in repeats.values()]
        summary = {"mean": sum(percent) / len(percent), "least": min(percent), "most": max(percent)}
        rows.append(
            {"method": method, "labels": labels, "repeats": len(percent)}
            | {f"{name}_error_percent": f"{value:.3f}" for name, value in summary.items()}
        )
    return rows


def labels_needed(rows, method):
    """Return (just too few labels, just enough, interpolated on both logarithmic axes), or None if never enough."""
    curve = sorted((int(r["labels"]), float(r["mean_error_percent"])) for r in rows if r["method"] == method)
    missed = [at for at, (_, error) in enumerate(curve) if error > TARGET]
    at = max(missed, default=0)
    if not curve[at + 1 :]:
        return None
    (few, error_few), (enough, error_enough) = curve[at], curve[at + 1]
    way = math.log(error_few / TARGET) / math.log(error_few / max(error_enough, 1e-9))
    return few, enough, few * (enough / few) ** way


def fine_plan(rows):
    """Return the second pass: for the methods that need the fewest labels, sizes around the place where they do."""
    needed = {method: labels_needed(rows, method) for method in config["methods"]}
    reached = sorted((method for method in needed if needed[method]), key=lambda method: needed[method][2])
    plan = []
    for method in reached[: config["fine"]["methods"]]:
        few, enough, _ = needed[method]
        steps = config["fine"]["sizes"] + 1
        sizes = {10 * round(few * (enough / few) ** (step / steps) / 10) for step in range(1, steps)}
        plan += [{"method": method, "labels": labels} for labels in sorted(sizes - {few, enough})]
    return plan


def answers(rows):
    """Return how many labels each method needs, fewest first; those that never reach the target last."""
    needed = {method: labels_needed(rows, method) for method in METHODS}
    order = sorted(METHODS, key=lambda method: needed[method][2] if needed[method] else math.inf)
    return [
        {"method": method, "labels_needed": round(needed[method][2]) if needed[method] else "never"}
        for method in order
    ]
