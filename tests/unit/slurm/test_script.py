"""Batch scripts, compared whole with files that people have read: ``golden/*.sl``.

After a change that is meant to change scripts, ``DASKMPI_RENEW_GOLDEN=1 pytest tests/unit/slurm/test_script.py`` writes
the files anew, and fails, so that nobody does it unawares; ``git diff tests/unit/slurm/golden`` is there to be read.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from batches import ALIKE, BIG, CASES, HEAD, HET, NASTY, PLAIN, TWO
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch
from snakemake_executor_plugin_daskmpi.slurm.script.script import command_lines, render_script, sbatch_arguments

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", CASES)
def test_a_script_is_the_one_that_was_read(name):
    script, golden = render_script(*CASES[name]), GOLDEN / f"{name}.sl"
    if os.environ.get("DASKMPI_RENEW_GOLDEN"):
        golden.write_text(script)
        pytest.fail(f"{golden} was written anew; read it, and run the tests without DASKMPI_RENEW_GOLDEN")
    assert script == golden.read_text()


def test_no_golden_file_is_left_over():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.sl" for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_bash_can_read_a_script(name):
    done = subprocess.run(["bash", "-n"], input=render_script(*CASES[name]), capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_only_what_has_a_line_break_goes_on_the_command_line_of_sbatch():
    assert sbatch_arguments(HET) == []
    assert sbatch_arguments(replace(HET, job_name="a\nb")) == ["--job-name=a\nb"]
    # A backslash in --output makes the rest of it literal; chdir knows no such thing.
    odd = replace(PLAIN, workdir="/w/a\\%j\nb")
    assert sbatch_arguments(odd) == [
        "--chdir=/w/a\\%j\nb",
        "--output=/w/a\\\\%j\nb/.snakemake/daskmpi/1.log",
    ]


def test_no_line_of_a_value_can_pass_for_one_of_the_script():
    lines = render_script(replace(TWO, why="x\n#SBATCH --wrong\nrm -rf"), replace(HET, job_name="a\nexit")).splitlines()
    assert not {"#SBATCH --wrong", "rm -rf", "exit"} & set(lines)
    assert {"# #SBATCH --wrong", "# rm -rf"} < set(lines)


@pytest.mark.parametrize(
    "component", [replace(BIG, account="a\nb"), replace(BIG, extra=("--comment=a\nb",)), replace(HEAD, qos="\n")]
)
def test_a_line_break_in_what_is_one_components_own_is_refused(component):
    with pytest.raises(SettingsError, match="line break") as raised:
        render_script(Plan((HEAD, component), walltime_min=60), HET)
    assert "Next: write it on one line" in str(raised.value)


def test_mail_is_asked_for_once_and_when_the_job_ends_unless_said_otherwise():
    script = render_script(TWO, replace(HET, mail_user="ada@example.org"))
    assert re.findall("#SBATCH --mail-.*", script) == [
        "#SBATCH --mail-user=ada@example.org",
        "#SBATCH --mail-type=END,FAIL",
    ]


@pytest.mark.parametrize(
    ("head", "big", "forgotten"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_hint_of_one_component_is_not_handed_to_all(head, big, forgotten):
    hinted = [replace(each, extra=("--hint=nomultithread",) * hint) for each, hint in ((HEAD, head), (BIG, big))]
    plan = Plan(tuple(replace(each, multithread=False) for each in hinted), walltime_min=60)
    assert ("unset SLURM_HINT" in render_script(plan, HET)) is forgotten


def test_a_long_command_is_broken_between_words_and_means_the_same():
    parts = (["srun", "--mpi=pmi2"], ["python", "-m", "snakemake", *(f"sample {n}" for n in range(40)), NASTY])
    text = command_lines(*parts)
    assert max(map(len, text.splitlines())) < 120
    assert shlex.split(text.replace("\\\n", "")) == [*parts[0], *parts[1]]


def test_a_conda_environment_brings_the_python_that_runs():
    script = render_script(ALIKE, replace(PLAIN, conda_env="digits"))
    assert "    python -m snakemake --executor daskmpi" in script
    assert "/home/ada/venv/bin/python" not in script


def test_settings_become_parts_of_the_script():
    settings = Settings(
        modules="Python/3.9 impi",
        conda_env="digits",
        setup="date",
        scratch="/scratch",
        mail_user="a@b",
        mail_type="ALL",
    )
    batch = Batch.of(
        settings,
        job_name="j",
        workdir="/w",
        output="o",
        exit_code_file="e",
        srun=["srun"],
        command=["python"],
        exports={"A": "1"},
        container=None,
    )
    assert (batch.modules, batch.conda_env, batch.setup) == (("Python/3.9", "impi"), "digits", "date")
    assert (batch.scratch, batch.mail_user, batch.mail_type) == ("/scratch", "a@b", "ALL")
    assert batch.exports == (("A", "1"),)


# -- what scripts do when bash runs them; srun is a real script on PATH ---------------------------


class Ran:
    """What a script did, run by bash where srun only does what follows its options."""

    def __init__(self, folder: Path, batch: Batch, plan: Plan = ALIKE, **environ: str) -> None:
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        srun = bin_folder / "srun"
        srun.write_text('#!/bin/bash\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"\n')
        srun.chmod(0o755)
        for name, text in self.programs(folder).items():
            (bin_folder / name).write_text(text)
            (bin_folder / name).chmod(0o755)
        script = folder / "script.sl"
        script.write_text(render_script(plan, batch))
        done = subprocess.run(
            ["bash", str(script)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{bin_folder}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "HOSTNAME": "n1", **environ},
        )
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        exit_code = Path(batch.workdir, batch.exit_code_file)
        self.recorded = exit_code.read_text() if exit_code.exists() else None

    def programs(self, _folder: Path) -> dict[str, str]:
        """Return further programs on PATH."""
        return {}


def batch_in(workdir: Path, *command: str, **changes) -> Batch:
    workdir.mkdir(exist_ok=True)
    return replace(PLAIN, workdir=str(workdir), exit_code_file="exit code", command=command, **changes)


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_that_of_the_run_and_is_written_down(tmp_path, code):
    ran = Ran(tmp_path, batch_in(tmp_path / NASTY, "bash", "-c", f"exit {code}"))
    assert (ran.code, ran.recorded) == (code, f"{code}\n"), ran.err


def test_arguments_and_variables_reach_the_program_as_they_are(tmp_path):
    said = batch_in(tmp_path / NASTY, "printf", "%s|", NASTY, "", "$SAID", exports=(("SAID", NASTY),))
    assert Ran(tmp_path, said).out == f"{NASTY}||$SAID|"


def test_the_program_runs_in_the_working_directory_wherever_the_setup_went(tmp_path):
    ran = Ran(tmp_path, batch_in(tmp_path / NASTY, "pwd", setup="cd /"))
    assert ran.out == f"{tmp_path / NASTY}\n"


def test_scratch_is_a_folder_of_the_ranks_own_that_goes_with_it(tmp_path):
    scratch = tmp_path / "new" / f"7-{NASTY}"
    batch = batch_in(
        tmp_path / "w",
        "bash",
        "-c",
        'touch "$TMPDIR/x"; echo -n "$TMPDIR"; exit 5',
        scratch=f"{tmp_path}/new/$SLURM_JOB_ID-{NASTY}",
    )
    ran = Ran(tmp_path, batch, HOME="$HOME")
    assert ran.code == 5, ran.err
    assert Path(ran.out).parent == scratch
    assert not scratch.exists()


def test_scratch_that_was_there_before_stays_with_what_is_in_it(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ran = Ran(tmp_path, batch_in(tmp_path / "w", "bash", "-c", 'touch "$TMPDIR/x"', scratch=str(scratch)))
    assert ran.code == 0, ran.err
    assert list(scratch.iterdir()) == []


def test_scratch_that_others_use_still_stays(tmp_path):
    scratch = tmp_path / "scratch"
    program = f"touch '{scratch}/of another rank'"
    ran = Ran(tmp_path, batch_in(tmp_path / "w", "bash", "-c", program, scratch=str(scratch)))
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in scratch.iterdir()) == [".made-for-daskmpi", "of another rank"]


def test_scratch_that_cannot_be_made_ends_the_step_with_a_word(tmp_path):
    (tmp_path / "file").touch()

    class WithScancel(Ran):
        def programs(self, folder: Path) -> dict[str, str]:
            return {"scancel": f'#!/bin/sh\necho "$@" > {folder}/cancelled\n'}

    batch = batch_in(tmp_path / "w", "true", scratch=f"{tmp_path}/file/x")
    ran = WithScancel(tmp_path, batch, SLURM_STEP_ID="2")
    assert ran.code == 1
    assert ran.err.endswith("  Next: --daskmpi-scratch with a folder that every node has.\n")
    assert (tmp_path / "cancelled").read_text() == "7.2\n"


def test_without_conda_the_run_does_not_start_and_the_reader_learns_why(tmp_path):
    ran = Ran(tmp_path, batch_in(tmp_path / "w", "echo", "it ran", conda_env="digits"))
    assert (ran.code, ran.recorded, ran.out) == (1, "1\n", "")
    assert ran.err.splitlines()[0] == "There is no conda on n1 to activate --daskmpi-conda-env with."
    assert "Next: name the module that brings it with --daskmpi-modules" in ran.err


def test_a_conda_environment_is_activated_by_name(tmp_path):
    hook = """conda() { [ "$1 $2" = "activate my env" ] && export PATH="$ENV_BIN:$PATH"; }"""

    class WithConda(Ran):
        def programs(self, folder: Path) -> dict[str, str]:
            (folder / "env").mkdir()
            python = folder / "env" / "python"
            python.write_text('#!/bin/sh\necho "the python of the environment: $@"\n')
            python.chmod(0o755)
            return {"conda": f"#!/bin/sh\n[ \"$*\" = 'shell.bash hook' ] && cat <<'END'\n{hook}\nEND\n"}

    batch = batch_in(tmp_path / "w", "/venv/bin/python", "-m", "snakemake", conda_env="my env")
    ran = WithConda(tmp_path, batch, ENV_BIN=str(tmp_path / "env"))
    assert ran.out == "the python of the environment: -m snakemake\n", ran.err


def test_a_conda_environment_that_is_not_there_stops_the_run(tmp_path):
    class WithConda(Ran):
        def programs(self, _folder: Path) -> dict[str, str]:
            return {"conda": '#!/bin/sh\n[ "$1" = activate ] && exit 1 || echo :\n'}

    ran = WithConda(tmp_path, batch_in(tmp_path / "w", "python", conda_env="digits"))
    assert (ran.code, ran.recorded) == (1, "1\n")
    assert ran.err.endswith("Next: conda env list\n")


MODULE = 'module() { echo "module $*"; [ "$2" != missing ]; }; export -f module'


def test_modules_are_loaded_after_all_others_are_unloaded(tmp_path):
    profile = tmp_path / "functions"
    profile.write_text(MODULE)
    batch = batch_in(tmp_path / "w", "echo", "it ran", modules=("Python/3.9", "impi"))
    ran = Ran(tmp_path, batch, BASH_ENV=str(profile))
    assert ran.out.splitlines()[:2] == ["module purge", "module load Python/3.9 impi"]
    assert "it ran" in ran.out


def test_a_module_that_is_missing_stops_the_run(tmp_path):
    profile = tmp_path / "functions"
    profile.write_text(MODULE)
    ran = Ran(tmp_path, batch_in(tmp_path / "w", "echo", "it ran", modules=("missing",)), BASH_ENV=str(profile))
    assert (ran.code, ran.recorded) == (1, "1\n")
    assert ran.err.endswith("Next: module avail\n")
    assert "it ran" not in ran.out
