"""Settings: what Snakemake's argument builder makes of them, and what it says of values that cannot be."""

from __future__ import annotations

import ast
import dataclasses
import re
import types
import typing
from argparse import ArgumentParser
from pathlib import Path

import pytest
from snakemake_interface_executor_plugins.registry.plugin import Plugin

from snakemake_executor_plugin_daskmpi import Executor, common_settings
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.settings import flags
from snakemake_executor_plugin_daskmpi.settings.choices import check_flags
from snakemake_executor_plugin_daskmpi.settings.flags import BINDINGS, LAUNCHERS, MEMORY_POLICIES, Settings

FIELDS = dataclasses.fields(Settings)


def flag(name: str) -> str:
    return "--daskmpi-" + name.replace("_", "-")


def parsed(*command_line: str) -> Settings:
    """Return what Snakemake makes of a command line."""
    plugin = Plugin(Executor, common_settings, _executor_settings_cls=Settings, _name="daskmpi")
    parser = ArgumentParser()
    plugin.register_cli_args(parser, "executor")
    return plugin.get_settings(parser.parse_args(command_line))


def test_the_source_keeps_its_annotations_as_types():
    tree = ast.parse(Path(flags.__file__).read_text())
    assert "__future__" not in {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


class TestFields:
    def test_their_types_are_ones_that_the_argument_builder_understands(self):
        # Since Python 3.14, both ways to write a union give the same.
        not_understood = (str,) if types.UnionType is typing.Union else (str, types.UnionType)
        assert [f.name for f in FIELDS if isinstance(f.type, not_understood)] == []
        plain = {bool, int, str}
        assert [f.name for f in FIELDS if f.type not in plain and typing.get_origin(f.type) is not typing.Union] == []

    def test_their_help_texts_are_whole_sentences(self):
        assert [f.name for f in FIELDS if not re.fullmatch(r"['A-Z].*\.", f.metadata["help"])] == []

    def test_their_help_texts_have_no_percent_sign_which_argparse_would_expand(self):
        assert [f.name for f in FIELDS if "%" in f.metadata["help"]] == []

    def test_they_say_what_their_values_are(self):
        assert [f.name for f in FIELDS if (f.type is bool) == ("metavar" in f.metadata)] == []

    def test_they_have_defaults(self):
        assert [f.name for f in FIELDS if f.default is dataclasses.MISSING] == []
        assert [f.name for f in FIELDS if f.type is bool and f.default is not False] == []

    def test_they_can_be_written_back_if_they_are_parsed(self):
        assert [f.name for f in FIELDS if ("parse_func" in f.metadata) != ("unparse_func" in f.metadata)] == []


def test_help_texts_name_flags_that_exist():
    texts = " ".join(field.metadata["help"] for field in FIELDS)
    assert set(re.findall(r"--daskmpi-[a-z-]*[a-z]", texts)) <= {flag(field.name) for field in FIELDS}


def test_an_empty_command_line_gives_the_defaults():
    assert parsed() == Settings()


def test_each_flag_reaches_its_field():
    line = "--daskmpi-launcher mpiexec --daskmpi-workers 3 --daskmpi-cores 4 --daskmpi-mem-mb 8000 --daskmpi-disk-mb 9 "
    line += (
        "--daskmpi-gpus 0,1 --daskmpi-bind cores --daskmpi-memory ignore --daskmpi-no-warm --daskmpi-startup-timeout 60"
    )
    assert parsed(*line.split(), "--daskmpi-mpiexec", "mpiexec -v") == Settings(
        launcher="mpiexec",
        workers=3,
        cores=4,
        mem_mb=8000,
        disk_mb=9,
        gpus="0,1",
        bind="cores",
        memory="ignore",
        no_warm=True,
        mpiexec="mpiexec -v",
        startup_timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "typo", "meant"),
    [
        ("launcher", "lokal", "local"),
        ("launcher", "mpiexc", "mpiexec"),
        ("launcher", "mpirun", "mpiexec"),
        ("launcher", "slurm", "sbatch"),
        ("bind", "core", "cores"),
        ("memory", "evikt", "evict"),
    ],
)
def test_a_typo_is_answered_with_the_word_meant(name, typo, meant):
    with pytest.raises(SettingsError, match=rf"^{flag(name)} cannot be '{typo}'. Did you mean {meant}\?") as raised:
        parsed(flag(name), typo)
    choices = ", ".join({"launcher": LAUNCHERS, "bind": BINDINGS, "memory": MEMORY_POLICIES}[name])
    assert str(raised.value).endswith(f"\n  Next: {flag(name)} with one of: {choices}.")


def test_a_word_that_is_like_none_is_answered_with_all():
    with pytest.raises(SettingsError, match=r"^--daskmpi-launcher cannot be 'kubernetes'.\n  Next: ") as raised:
        Settings(launcher="kubernetes").check()
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("name", ["workers", "cores", "mem_mb", "startup_timeout"])
def test_one_is_enough(name):
    Settings(**{name: 1}).check()


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("name", ["workers", "cores", "mem_mb", "startup_timeout"])
def test_a_number_below_one_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"^{flag(name)} cannot be {value}.") as raised:
        Settings(**{name: value}).check()
    assert str(raised.value).endswith(f"\n  Next: {flag(name)} 1 or more, or leave it out.")


@pytest.mark.parametrize("name", ["mpiexec", "srun_args"])
def test_a_quotation_that_does_not_end_is_refused(name):
    with pytest.raises(SettingsError, match=f"^{flag(name)} cannot be .*: No closing quotation") as raised:
        Settings(**{name: "--option 'x"}).check()
    assert str(raised.value).endswith(f"\n  Next: close the quotation, or leave {flag(name)} out.")


@pytest.mark.parametrize("text", ["abc", "0", "2 fortnights"])
def test_a_walltime_that_is_none_is_refused_also_where_no_job_is_planned(text):
    with pytest.raises(SettingsError, match="--daskmpi-walltime cannot be"):
        Settings(launcher="local", walltime=text).check()


def test_scratch_space_can_be_zero_but_not_less():
    Settings(disk_mb=0).check()
    with pytest.raises(SettingsError, match=r"^--daskmpi-disk-mb cannot be -1\."):
        Settings(disk_mb=-1).check()


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("bind", BINDINGS)
@pytest.mark.parametrize("memory", MEMORY_POLICIES)
def test_each_choice_can_be_made(launcher, bind, memory):
    Settings(launcher=launcher, bind=bind, memory=memory).check()


def test_nothing_set_is_nothing_wrong():
    Settings(**{field.name: None for field in FIELDS if field.type is not bool}).check()


def test_an_abbreviation_is_answered_with_the_option_meant():
    with pytest.raises(SettingsError, match=r"^There is no option --daskmpi-worker. Did you mean --daskmpi-workers\?"):
        check_flags(["--executor", "daskmpi", "--daskmpi-worker=4"], Settings.flags())


def test_what_is_spelt_out_is_let_through_and_what_stands_after_the_dashes_is_no_option():
    check_flags(["--daskmpi-workers", "4", "--daskmpi-grow=2", "--", "--daskmpi-target"], Settings.flags())
