"""The program snakemake-daskmpi: what its verbs make of their arguments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi import cli
from snakemake_executor_plugin_daskmpi.cli import commands, texts

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = [sys.executable, "-m", "snakemake"]
DASKMPI = ["--executor", "daskmpi", "--daskmpi-launcher"]
PLAN = [*DASKMPI, "plan", "--nolock", "--rerun-incomplete"]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], [*PLAN, "--jobs", "unlimited"]),
        (["all", "-k"], ["all", "-k", *PLAN, "--jobs", "unlimited"]),
        (["-j", "4"], ["-j", "4", *PLAN]),
        (["-j4"], ["-j4", *PLAN]),
        (["--jobs=4"], ["--jobs=4", *PLAN]),
        (["-n"], [*PLAN, "--jobs", "unlimited"]),
        (["--dry-run", "--", "-n"], [*PLAN, "--jobs", "unlimited", "--", "-n"]),
        (["--", "--jobs"], [*PLAN, "--jobs", "unlimited", "--", "--jobs"]),
        (["--executor", "slurm"], ["--executor", "slurm", *PLAN, "--jobs", "unlimited"]),
    ],
)
def test_a_plan_is_snakemake_with_our_executor_last_no_lock_and_no_dry_run(given, passed):
    assert commands.plan_command(given, script=False) == PYTHON + passed


def test_a_plans_script_is_asked_of_another_launcher():
    assert commands.plan_command(["-j1"], script=True) == [
        *PYTHON,
        "-j1",
        *DASKMPI,
        "script",
        "--nolock",
        "--rerun-incomplete",
    ]


def test_submit_is_snakemake_with_the_launcher_sbatch_and_its_targets_stay_targets():
    command = commands.snakemake_command(["--profile", "a b", "--", "-x"], "sbatch")
    assert command == [*PYTHON, "--profile", "a b", *DASKMPI, "sbatch", "--", "-x"]


@pytest.mark.parametrize(("typed", "meant"), [("plna", "plan"), ("docter", "doctor"), ("submitt", "submit")])
def test_a_verb_with_a_typo_is_answered_with_the_verb_meant(typed, meant, capsys):
    assert cli.main([typed, "--jobs", "1"]) == 2
    said = capsys.readouterr().err
    assert f"Did you mean {meant}?" in said
    verbs = "plan, submit, follow, status, watch, explain, report, advise, grow, shrink, doctor, profile"
    assert said.endswith(f"Next: snakemake-daskmpi with one of: {verbs}.\n")


def test_without_a_verb_it_says_which_there_are(capsys):
    assert cli.main([]) == 2
    said = capsys.readouterr().out
    assert all(f"\n  {verb} " in said for verb in texts.VERBS)


@pytest.mark.parametrize("verb", texts.VERBS)
def test_the_help_of_a_verb_has_examples_that_begin_with_it(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: snakemake-daskmpi {verb} ")
    examples = said.partition("Example")[2].splitlines()[1:]
    assert examples
    assert all(f"snakemake-daskmpi {verb}" in example for example in examples)
    assert max(map(len, said.splitlines())) <= 120


@pytest.mark.parametrize("verb", ["doctor", "profile", "follow", "status", "watch", "report"])
def test_verbs_that_do_not_start_snakemake_refuse_its_arguments(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--keep-going"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --keep-going" in capsys.readouterr().err


def test_settings_of_the_doctor_are_checked_as_those_of_a_run(capsys):
    assert cli.main(["doctor", "--daskmpi-pmi", "pmx"]) == 2
    assert "--daskmpi-pmi cannot be 'pmx'. Did you mean pmix?" in capsys.readouterr().err
    assert cli.main(["doctor", "--daskmpi-workers", "0"]) == 2
    assert "Next: --daskmpi-workers 1 or more" in capsys.readouterr().err


def test_a_plan_is_made_for_a_run_that_takes_the_lock_and_does_not_repeat_what_is_incomplete():
    command = commands.planned_command(["-n", "-k", "--", "all"])
    assert command[1:] == [
        *("-m", "snakemake", "-k", "--executor", "daskmpi", "--daskmpi-launcher", "sbatch"),
        *("--jobs", "unlimited", "--", "all"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a workflow with a run."""
    Record(tmp_path).submitted("a")
    return tmp_path


@pytest.mark.parametrize("verb", ["status", "explain", "report"])
def test_a_line_whose_time_is_a_word_is_passed_over(folder, verb, capsys):
    record = next(folder.glob(".snakemake/daskmpi/*/events.jsonl"))
    with record.open("a") as file:
        file.write('{"event": "started", "time": "soon", "job": "a", "worker": "rank 2", "cores": [0]}\n')
    others = {"status": [], "explain": ["one"], "report": ["--csv", "-"]}[verb]
    assert cli.main([verb, *others, "--directory", str(folder)]) == 0
    if verb == "status":
        assert "1 lines of its record cannot be read" in capsys.readouterr().out
