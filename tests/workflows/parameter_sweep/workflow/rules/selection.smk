import json


rule gather:
    input:
        expand("results/folds/{fold}/errors/{params}.tsv", fold=FOLDS, params=paramspace.instance_patterns),
    output:
        report("results/errors.tsv", category="Sweep"),
    script:
        "../scripts/gather.py"


checkpoint select:
    input:
        "results/errors.tsv",
    output:
        "results/selected.json",
    params:
        largest_error=config["largest_error"],
        parameters=list(sweep.columns),
    run:
        table = pd.read_csv(input[0], sep="\t")
        means = table.groupby(params.parameters, sort=True)["error"].mean()
        best = means.idxmin()
        if means[best] > params.largest_error:
            raise ValueError(f"no model is better than {params.largest_error}")
        # pandas' own types are no JSON.
        values = [value.item() if hasattr(value, "item") else value for value in best]
        with open(output[0], "w") as file:
            json.dump(dict(zip(params.parameters, values)), file, indent=1)


def best_settings():
    """Return the settings that have won, once they are known."""
    with checkpoints.select.get().output[0].open() as file:
        return json.load(file)


def errors_of_best(wildcards):
    """Return the errors of the settings that have won, in each fold."""
    return expand(rules.evaluate.output[0], fold=FOLDS, **best_settings())


rule by_degree:
    input:
        "results/errors.tsv",
    output:
        "results/by_degree.tsv",
    run:
        table = pd.read_csv(input[0], sep="\t")
        table.groupby("degree")["error"].agg(["min", "max"]).round(4).to_csv(output[0], sep="\t")


rule page:
    input:
        template="workflow/templates/page.md",
        model="results/best/model.json",
        selected="results/selected.json",
        errors=errors_of_best,
    output:
        "results/page.md",
    params:
        settings=lambda wildcards: best_settings(),
    template_engine:
        "jinja2"
