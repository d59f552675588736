"""Files that the package brings for its users to build an image or an environment from.

Runs on: the login node. Reads the package's own data, nothing else.
"""

from __future__ import annotations

from importlib import resources

#: For ``apptainer build``, and for ``conda env create``.
RECIPES = ("container.def", "environment.yml")


def data_text(name: str) -> str:
    """Return one of RECIPES as text.

    >>> data_text("environment.yml").count("intel::mpi4py")
    1
    """
    folder = resources.files("snakemake_executor_plugin_daskmpi") / "data"
    return (folder / name).read_text(encoding="utf-8")
