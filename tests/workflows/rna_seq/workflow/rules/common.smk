import pandas as pd
from snakemake.utils import validate

validate(config, schema="../schemas/config.schema.yaml")

samples = pd.read_csv(config["samples"], sep="\t", dtype=str).set_index("sample_name", drop=False).sort_index()
validate(samples, schema="../schemas/samples.schema.yaml")

units = (
    pd.read_csv(config["units"], sep="\t", dtype={"sample_name": str, "unit_name": str})
    .set_index(["sample_name", "unit_name"], drop=False)
    .sort_index()
)
validate(units, schema="../schemas/units.schema.yaml")


wildcard_constraints:
    sample="|".join(samples.index),
    unit="|".join(units["unit_name"].unique()),
    contrast="|".join(config["diffexp"]["contrasts"]),


def units_of(sample):
    """Return the names of a sample's units."""
    return list(units.loc[sample, "unit_name"])


def alignments_of(wildcards):
    """Return the alignments of a sample's units."""
    return expand("results/aligned/{sample}-{unit}.sam", sample=wildcards.sample, unit=units_of(wildcards.sample))


def samples_of_contrast(wildcards):
    """Return the samples of both conditions of a contrast."""
    conditions = config["diffexp"]["contrasts"][wildcards.contrast]
    return list(samples.index[samples["condition"].isin(conditions)])


def final_output():
    """Return what a run is for."""
    return [
        *expand("results/diffexp/{contrast}.tsv", contrast=config["diffexp"]["contrasts"]),
        "results/counts/normalized.tsv",
        "results/qc/summary.tsv",
    ]
