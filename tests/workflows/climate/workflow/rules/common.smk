def awk(name):
    """Return the path of an awk script."""
    return f"{workflow.basedir}/scripts/{name}"


def periods():
    """Return the periods, once the series is split."""
    folder = checkpoints.split.get().output[0]
    return sorted(glob_wildcards(f"{folder}/{{period}}.csv").period)


def means_of_periods(wildcards):
    """Return the means of all periods."""
    return expand("results/{variable}/periods/{period}.txt", variable=wildcards.variable, period=periods())


def pages(wildcards):
    """Return the pages of the periods that stand out, of each variable."""
    names = []
    for variable in config["variables"]:
        with checkpoints.find_extremes.get(variable=variable).output[0].open() as file:
            names += [f"results/{variable}/pages/{line.split()[0]}.txt" for line in file]
    return names
