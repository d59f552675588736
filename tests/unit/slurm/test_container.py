"""Images: the command between srun and the program, its environment, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batches import APPTAINER, CH_RUN
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.script.container import (
    Container,
    container_command,
    container_environ,
    library_bind,
    python_arguments,
)

PMI = "/opt/slurm/lib64/libpmi2.so"


@pytest.mark.parametrize("runtime", ["apptainer", "singularity"])
def test_apptainer_runs_the_image_with_the_arguments_of_python(runtime):
    command = container_command(replace(APPTAINER, runtime=runtime), ["-m", "snakemake", "it's all"])
    assert command == [runtime, "run", "/home/ada/image.sif", "-m", "snakemake", "it's all"]


def test_ch_run_is_told_what_to_bind_and_where_to_start():
    assert container_command(CH_RUN, ["-m", "snakemake"]) == [
        "ch-run",
        "--home",
        "--bind=/opt/slurm/lib64",
        "--bind=/home/ada/digits",
        "--bind=/data:/mnt",
        "--cd=/home/ada/digits",
        "--set-env=TMPDIR=/tmp",
        "/home/ada/image",
        "--",
        "python3",
        "-m",
        "snakemake",
    ]


def test_ch_run_sets_the_variables_that_an_image_brings(tmp_path):
    image = make_image(tmp_path, "work")
    (image / "ch").mkdir()
    (image / "ch" / "environment").write_text("PATH=/opt/conda/bin:$PATH\n")
    settings = Settings(container=str(image), container_runtime="ch-run")
    assert "--set-env" in container_command(Container.of(settings, "/work"), [])


@pytest.mark.parametrize(("runtime", "name"), [("apptainer", "APPTAINER_BIND"), ("singularity", "SINGULARITY_BIND")])
def test_apptainer_sees_slurms_libraries_the_working_directory_and_what_the_user_adds(runtime, name):
    environ = container_environ(replace(APPTAINER, runtime=runtime), {})
    assert environ == {name: "/opt/slurm/lib64,/home/ada/digits,/data:/mnt", "I_MPI_PMI_LIBRARY": PMI}


def test_what_the_site_binds_stays_bound():
    environ = container_environ(APPTAINER, {"APPTAINER_BIND": "/nesi"})
    assert environ["APPTAINER_BIND"].split(",")[0] == "/nesi"


def test_nothing_is_bound_twice():
    container = replace(APPTAINER, extra_binds=("/home/ada/digits", "/data", "/opt/slurm/lib64"))
    assert container.binds == ("/opt/slurm/lib64", "/home/ada/digits", "/data")


def test_ch_run_learns_who_runs_it_where_nobody_said():
    assert container_environ(CH_RUN, {"USER": "ada"}) == {"I_MPI_PMI_LIBRARY": PMI}
    assert container_environ(CH_RUN, {"LOGNAME": "ada"})["USER"] == "ada"


@pytest.mark.parametrize(
    ("library", "bind"),
    [
        (PMI, "/opt/slurm/lib64"),
        ("/usr/lib64/slurm/libpmi2.so", "/usr/lib64/slurm"),
        # The image's own system libraries must not be hidden by the host's.
        ("/usr/lib64/libpmi2.so.0", "/usr/lib64/libpmi2.so.0"),
        ("/lib/aarch64-linux-gnu/libpmi2.so", "/lib/aarch64-linux-gnu/libpmi2.so"),
        ("/usr/local/lib/libpmi2.so", "/usr/local/lib/libpmi2.so"),
    ],
)
def test_a_system_folder_is_never_bound_over_the_images_own(library, bind):
    assert library_bind(library) == bind


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (["/venv/bin/python", "-m", "snakemake", "all"], ["-m", "snakemake", "all"]),
        (["/venv/bin/python", "/venv/bin/snakemake", "all"], ["-m", "snakemake", "all"]),
        (["python", "-P", "-W", "ignore", "/venv/bin/snakemake"], ["-P", "-W", "ignore", "-m", "snakemake"]),
        (["python", "-m", "snakemake", "snakemake"], ["-m", "snakemake", "snakemake"]),
        (["python", "program.py", "snakemake"], ["program.py", "snakemake"]),
    ],
)
def test_the_program_is_found_by_module_in_another_python(command, arguments):
    assert python_arguments(command) == arguments


# -- what the settings say ------------------------------------------------------------------------


def make_image(folder, *mount_points):
    image = folder / "image"
    image.mkdir()
    for point in mount_points:
        (image / point).mkdir(parents=True)
    return image


def test_without_an_image_there_is_no_container():
    assert Container.of(Settings(), "/work") is None


def test_the_settings_name_image_runtime_and_folders(tmp_path):
    (tmp_path / "image.sif").touch()
    settings = Settings(container="image.sif", container_bind="/data:/mnt, /refs,")
    assert Container.of(settings, str(tmp_path), PMI, ["/results"]) == Container(
        "apptainer", f"{tmp_path}/image.sif", str(tmp_path), ("/results", "/data:/mnt", "/refs"), PMI
    )


@pytest.mark.parametrize("image", ["docker://python:3.12", "library://ada/digits"])
def test_an_image_that_the_runtime_finds_itself_stays_as_it_is(tmp_path, image):
    assert Container.of(Settings(container=image), str(tmp_path)).image == image


def test_an_image_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"There is no image wrong\.sif") as raised:
        Container.of(Settings(container="wrong.sif"), str(tmp_path))
    assert "Next: --daskmpi-container" in str(raised.value)


@pytest.mark.parametrize(
    ("runtime", "workdir", "is_fine"),
    [
        ("apptainer", '/work/it\'s "mine" $HOME', True),
        ("apptainer", "/work/a,b", False),
        ("apptainer", "/work/a:b", False),
        ("ch-run", "/work/a,b", True),
        ("ch-run", "/work/a:b", False),
    ],
)
def test_a_working_directory_that_a_runtime_would_take_for_several_is_refused(runtime, workdir, is_fine):
    settings = Settings(container="docker://image", container_runtime=runtime)
    if is_fine:
        assert workdir in Container.of(settings, workdir).binds
    else:
        with pytest.raises(SettingsError, match="Next: mv it"):
            Container.of(settings, workdir)


def test_a_folder_that_ch_run_has_no_place_for_is_refused_with_the_way_to_make_one(tmp_path):
    image = make_image(tmp_path, "work")
    settings = Settings(container=str(image), container_runtime="ch-run", container_bind="/data:/my refs")
    with pytest.raises(SettingsError, match="ch-run cannot bind /data:/my refs") as raised:
        Container.of(settings, "/work")
    assert str(raised.value).endswith(f"Next: mkdir -p '{image}/my refs'")


def test_ch_run_binds_slurms_library_only_where_the_image_has_a_place_for_it(tmp_path):
    image = make_image(tmp_path, "work")
    settings = Settings(container=str(image), container_runtime="ch-run")
    assert Container.of(settings, "/work", PMI).binds == ("/work",)
    (image / "opt/slurm/lib64").mkdir(parents=True)
    assert Container.of(settings, "/work", PMI).binds == ("/opt/slurm/lib64", "/work")


def test_ch_run_has_a_place_for_what_is_below_home_and_tmp(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    shared = "/tmp/data"  # noqa: S108 - the host's, in the image
    settings = Settings(container=str(make_image(tmp_path)), container_runtime="ch-run", container_bind=shared)
    assert Container.of(settings, "/home/ada/digits").binds == ("/home/ada/digits", shared)
    # ch-run calls it /home/ada.
    monkeypatch.setenv("HOME", "/users/ada")
    with pytest.raises(SettingsError, match="ch-run cannot bind /users/ada/digits"):
        Container.of(settings, "/users/ada/digits")
