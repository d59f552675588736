"""What the package brings to build an image or an environment from. Neither is built here: there is no conda."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from snakemake_executor_plugin_daskmpi.profile.recipes import RECIPES, data_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment():
    return yaml.safe_load(data_text("environment.yml"))


def test_every_recipe_is_there():
    assert [data_text(name) != "" for name in RECIPES] == [True, True]


def test_intels_channel_comes_last_and_only_mpi4py_is_taken_from_it(environment):
    assert environment["channels"] == ["conda-forge", "bioconda", "intel"]
    asked = [package for package in environment["dependencies"] if isinstance(package, str)]
    assert [package for package in asked if "::" in package] == ["intel::mpi4py"]


def test_the_environment_has_what_the_plugin_needs(environment):
    *conda, pip = environment["dependencies"]
    names = {re.split(r"[<>=]", package)[0] for package in conda}
    assert {"snakemake-minimal", "dask-mpi", "python", "pip"} < names
    assert pip == {"pip": ["snakemake-executor-plugin-daskmpi"]}


def section(name: str) -> str:
    """Return a section of the definition file."""
    return re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", data_text("container.def"), re.DOTALL | re.MULTILINE)[1]


def test_the_image_gets_mpi4py_from_intel_before_anything_else():
    installs = [line for line in section("post").splitlines() if re.search("(conda|pip) install", line)]
    assert "intel::mpi4py" in installs[0]
    assert not any("intel" in line for line in installs[1:])
    assert "pip install" in installs[-1]


@pytest.mark.parametrize("name", ["post", "runscript", "test"])
def test_the_shell_can_read_the_images_scripts(name):
    subprocess.run(["sh", "-n"], input=section(name), text=True, check=True)


def test_the_image_runs_the_python_of_condas_base_with_the_arguments_given(tmp_path: Path):
    activate = tmp_path / "conda.sh"
    activate.write_text('conda() { echo "conda $*"; python() { printf \'<%s>\' "$@"; }; }\n')
    # A function stands in for the program, which exec would not find.
    script = section("runscript").replace("/opt/conda/etc/profile.d/conda.sh", str(activate)).replace("exec ", "")
    done = subprocess.run(
        ["sh", "-c", script, "sh", "-m", "snakemake", "it's all"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "conda activate base\n<-m><snakemake><it's all>"
