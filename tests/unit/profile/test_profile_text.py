"""The starter profile of made-up sites: YAML that says what was found, with settings that there are."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.profile.profile import render_profile, write_profile
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site
from snakemake_executor_plugin_daskmpi.slurm.surroundings import Surroundings

SMALL = NodeType(40, 8, 16_384)
BIG = NodeType(4, 64, 524_288, gpus=(("a100", 4),))
MAIN = Partition("main", (SMALL,), max_minutes=2880, is_default=True)
GPU = Partition("1e3", (BIG,), max_minutes=90, whole_nodes=True)
SITE = Site("lake", "22.05.8", (MAIN, GPU), mpi_types=frozenset({"none", "pmi2", "pmix_v4"}))
FOUND = Surroundings(site=SITE, mpi_kind="mpich", has_mpiexec=True, prefix="/opt/env", cores=4)
HERE = dataclasses.replace(FOUND, site=None)


def site(**changed) -> Surroundings:
    return dataclasses.replace(FOUND, site=dataclasses.replace(SITE, **changed))


def found(**changed) -> Surroundings:
    return dataclasses.replace(FOUND, **changed)


def test_a_cluster_gets_what_a_run_needs_and_no_more():
    assert yaml.safe_load(render_profile(FOUND)) == {
        "executor": "daskmpi",
        "jobs": "unlimited",
        "scheduler": "greedy",
        "daskmpi-launcher": "sbatch",
        "daskmpi-partition": "main",
        "daskmpi-max-workers": 16,
        "daskmpi-pmi": "auto",
        "default-resources": {"mem_mb": 500, "disk_mb": 100, "runtime": 10},
    }


@pytest.mark.parametrize(
    "surroundings",
    [
        FOUND,
        HERE,
        site(partitions=(GPU,)),
        site(partitions=(dataclasses.replace(MAIN, nodes=(dataclasses.replace(SMALL, threads_per_core=2),)),)),
        site(accounts=frozenset({"a b", "no"})),
        found(mpi_kind="intel", modules=("gimkl/2020a", "Python/3.9.9"), conda_env="/envs/it's: mine #1"),
        found(mpi_kind="other"),
        dataclasses.replace(HERE, mpi_kind="", silence="Slurm's scontrol did not tell: what it was asked."),
    ],
)
def test_each_line_and_each_suggestion_is_a_setting_in_valid_yaml(surroundings):
    text = render_profile(surroundings)
    names = {f"daskmpi-{field.name.replace('_', '-')}" for field in dataclasses.fields(Settings)}
    suggested = re.sub(r"^#(?=[\w-]+:)", "", text, flags=re.MULTILINE)
    for profile in (yaml.safe_load(text), yaml.safe_load(suggested)):
        ours = {name for name in profile if name.startswith("daskmpi-")}
        assert ours <= names
        assert set(profile) - ours == {"executor", "jobs", "scheduler", "default-resources"}
    assert max(map(len, text.splitlines())) <= 100


def test_partitions_are_named_with_what_they_offer():
    text = render_profile(FOUND)
    assert "# The site's default: 40 x 8 CPUs, 16384 MB, at most 2 d." in text
    assert "# - 1e3: 4 x 64 CPUs, 524288 MB, 4 GPU a100, whole nodes, at most 1 h 30 min" in text
    none = render_profile(site(partitions=(GPU,)))
    assert "# The site has no default partition." in none
    assert yaml.safe_load(none).get("daskmpi-partition") is None


def test_words_that_yaml_would_take_for_something_else_are_quoted():
    text = render_profile(site(partitions=(dataclasses.replace(GPU, is_default=True),), accounts=frozenset({"007"})))
    profile = yaml.safe_load(text)
    assert (profile["daskmpi-partition"], profile["daskmpi-account"]) == ("1e3", "007")


def test_the_environment_in_use_is_the_one_of_the_job():
    active = found(modules=("gimkl/2020a", "Python/3.9.9"), conda_env="/envs/it's: mine #1")
    profile = yaml.safe_load(render_profile(active))
    assert profile["daskmpi-modules"] == "gimkl/2020a Python/3.9.9"
    assert profile["daskmpi-conda-env"] == "/envs/it's: mine #1"


@pytest.mark.parametrize(
    ("kind", "offered", "words"),
    [
        ("mpich", {"pmi2"}, "That is pmi2, since mpi4py loads MPICH; Slurm offers it."),
        ("openmpi", {"pmix_v4"}, "That is pmix, since mpi4py loads Open MPI; Slurm offers it."),
        ("openmpi", {"pmi2"}, "mpi4py loads Open MPI, which needs pmix, and Slurm does NOT offer that"),
        ("other", {"pmi2", "cray_shasta"}, "'auto' takes pmi2 for it. Slurm offers cray_shasta, pmi2."),
        ("", {"pmi2"}, "mpi4py loads no MPI library here"),
    ],
)
def test_the_type_of_pmi_comes_with_its_reason(kind, offered, words):
    changed = dataclasses.replace(site(mpi_types=frozenset(offered)), mpi_kind=kind)
    assert words in " ".join(render_profile(changed).replace("\n# ", " ").split())


def test_intel_mpi_gets_slurms_library_or_a_place_to_name_it():
    there = yaml.safe_load(render_profile(found(mpi_kind="intel", pmi_library="/opt/slurm/lib64/libpmi2.so")))
    assert there["daskmpi-pmi-library"] == "/opt/slurm/lib64/libpmi2.so"
    text = render_profile(found(mpi_kind="intel"))
    assert "daskmpi-pmi-library" not in yaml.safe_load(text)
    assert "\n#daskmpi-pmi-library: " in text


@pytest.mark.parametrize(
    ("changed", "launcher"),
    [({}, "mpiexec"), ({"has_mpiexec": False}, "local"), ({"mpi_kind": ""}, "local")],
)
def test_without_slurm_it_is_for_this_machine(changed, launcher):
    text = render_profile(dataclasses.replace(HERE, **changed))
    profile = yaml.safe_load(text)
    assert (profile["daskmpi-launcher"], profile["daskmpi-workers"]) == (launcher, 1)
    assert "There is no Slurm here." in text
    assert "with 4 cores" in text


def test_a_controller_that_does_not_answer_is_told_from_no_slurm():
    text = render_profile(dataclasses.replace(HERE, silence="Slurm's controller did not answer for 10 s."))
    assert "There is no Slurm here" not in text
    assert "Slurm's controller did not answer for 10 s." in text


@pytest.mark.parametrize("below", ["", "further/down"])
def test_a_file_where_a_folder_is_wanted_is_told_and_left(tmp_path, below):
    file = tmp_path / "config.yaml"
    file.write_text("mine")
    with pytest.raises(LaunchError, match="is a file, and --output wants a folder") as error:
        write_profile("theirs", file / below, force=True, verb="advise")
    assert "Next: snakemake-daskmpi advise --output with a folder" in str(error.value)
    assert file.read_text() == "mine"
