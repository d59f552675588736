"""The batch script, as its user would have written it.

Runs on: the login node. Pure: text from a plan and a batch.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import roles
from snakemake_executor_plugin_daskmpi.slurm.script import container as containers
from snakemake_executor_plugin_daskmpi.slurm.script.directives import (
    absolute_path,
    comment,
    component_directives,
    job_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch

#: Columns that the lines of a long command fill, where its words allow.
_WIDTH = 100

#: Ends the script before Snakemake could start, in the three parts that all our messages have.
_FAIL = """\
fail() {
    printf '%s\\n  Next: %s\\n' "$1" "$2" >&2
    exit 1
}"""

_NO_HINT = """\
# A hint is for its own component; srun would take it for all components.
unset SLURM_HINT"""

#: Runs on every rank, around the program. Slurm's signals reach the program, too: this waits for its end.
_IN_SCRATCH = """\
base="FOLDER"
mkdir -p "$(dirname "$base")"
mkdir "$base" 2>/dev/null && touch "$base/.made-for-daskmpi"
TMPDIR=$(mktemp -d "$base/daskmpi-XXXXXX") || {
    printf "%s\\n" "$base on $HOSTNAME cannot be used." \\
        "  Next: --daskmpi-scratch with a folder that every node has." >&2
    # The other ranks would wait for this one.
    scancel "$SLURM_JOB_ID.$SLURM_STEP_ID"
    exit 1
}
export TMPDIR
trap : HUP INT TERM USR1 USR2
"$@"
code=$?
rm -rf "$TMPDIR"
if [ "$(ls -A "$base")" = .made-for-daskmpi ]; then
    rm "$base/.made-for-daskmpi" && rmdir "$base"
fi 2>/dev/null
exit $code
"""


def render_script(plan: Plan, batch: Batch) -> str:
    """Return the whole script.

    Raises
    ------
    SettingsError
        If a value with a line break in it is for one component, which sbatch's command line cannot say.
    """
    components = list(component_directives(plan, batch))
    hints = {tuple(line for line in lines.splitlines() if "--hint" in line) for lines in components}
    blocks = [
        f"#!/bin/bash\n{comment(_headline(plan, batch))}",
        "\n\n#SBATCH hetjob\n".join(components),
        _bookkeeping(batch),
        *_environment(batch),
        *[_NO_HINT] * (len(hints) > 1 or any(component.multithread for component in plan.components)),
        _run(batch),
        *([_next_job(batch)] if batch.resubmits else []),
        'exit "$code"',
    ]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def sbatch_arguments(batch: Batch) -> list[str]:
    """Return the options that cannot stand in the script; sbatch gives them to the first component."""
    return [f"{name}={value}" for name, value in job_options(batch) if "\n" in value]


def command_lines(*parts: Sequence[str]) -> str:
    r"""Return a command over several lines, each part on lines of its own.

    >>> print(command_lines(["srun", "--mpi=pmi2"], ["python", "it's all"]))
    srun --mpi=pmi2 \
        python 'it'"'"'s all'
    """
    lines: list[str] = []
    for part in parts:
        for at, word in enumerate(map(shlex.quote, part)):
            if at and len(lines[-1]) + len(word) < _WIDTH:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return " \\\n    ".join(lines)


def _headline(plan: Plan, batch: Batch) -> str:
    if not plan.has_head:
        workers = f"{plan.n_workers} worker{'s' * (plan.n_workers > 1)}"
        return "\n".join(filter(None, [f"{batch.job_name}: {workers} for a run that goes on.", plan.why, *plan.notes]))
    what = f"{batch.job_name}: a Snakemake workflow"
    if plan.n_workers:
        workers = "2 (worker)" if plan.n_workers == 1 else f"2 to {plan.n_ranks - 1} (workers)"
        what += f" in one Slurm job, ranks 0 (Dask scheduler), 1 (Snakemake), {workers}."
    else:
        what += ", ranks 0 (Dask scheduler) and 1 (Snakemake). The workers come in further Slurm jobs."
    return "\n".join(filter(None, [what, plan.why, *plan.notes]))


# -- what runs ---------------------------------------------------------------------------------


def _bookkeeping(batch: Batch) -> str:
    code = shlex.quote(absolute_path(batch, batch.exit_code_file))
    return f"""\
# However this ends, its exit code is written down. Slurm tells the ranks as well when it cancels the job:
# this waits for them.
exit_code_file={code}
trap 'code=$?; echo $code >"$exit_code_file.new" && mv "$exit_code_file.new" "$exit_code_file"; exit $code' EXIT
trap : TERM

{_FAIL}"""


def _environment(batch: Batch) -> Iterator[str]:
    if batch.modules:
        yield _modules(batch.modules)
    if batch.conda_env:
        yield _conda(batch.conda_env)
    if batch.setup.strip():
        yield "# As --daskmpi-setup says\n" + batch.setup.strip("\n")
    if batch.exports:
        yield "# For all ranks\n" + "\n".join(f"export {name}={shlex.quote(value)}" for name, value in batch.exports)
    if batch.container:
        yield _container(batch.container)
    if batch.scratch:
        yield _scratch(batch.scratch, batch.container)


def _modules(names: Sequence[str]) -> str:
    return f"""\
# Modules; the start-up files of a login know the command
command -v module >/dev/null || source /etc/profile
{{ module purge && module load {shlex.join(names)}; }} ||
    fail "The modules of --daskmpi-modules could not be loaded on $HOSTNAME." "module avail"
"""


def _conda(name: str) -> str:
    return f"""\
# Conda environment
command -v conda >/dev/null ||
    fail "There is no conda on $HOSTNAME to activate --daskmpi-conda-env with." \\
        "name the module that brings it with --daskmpi-modules, or put it on PATH with --daskmpi-setup."
eval "$(conda shell.bash hook)"
conda activate {shlex.quote(name)} ||
    fail "The environment of --daskmpi-conda-env could not be activated on $HOSTNAME." "conda env list"
"""


def _container(container: containers.Container) -> str:
    lines = ["# All ranks run inside an image, which sees these folders of the host"]
    if name := containers.BIND_VARIABLES.get(container.runtime):
        lines.append(f'export {name}="${{{name}:+${name},}}"{shlex.quote(",".join(container.binds))}')
    else:
        lines[:] = ["# ch-run wants to know who runs it", 'export USER="${USER:-$(id -un)}"']
    if container.pmi_library:
        lines.append(f"export I_MPI_PMI_LIBRARY={shlex.quote(container.pmi_library)}")
    return "\n".join(lines)


def _scratch(scratch: str, container: containers.Container | None) -> str:
    # Variables stay what they are; nothing else has a meaning between these double quotes.
    folder = re.sub(r'[\\"`]|\$(?=\()', r"\\\g<0>", scratch)
    program = _IN_SCRATCH.replace("FOLDER", folder)
    if container and (name := containers.BIND_VARIABLES.get(container.runtime)):
        program = program.replace("export TMPDIR\n", f'export TMPDIR {name}="${name},$TMPDIR"\n')
    return f"""\
# Each rank gets a folder of its own below the scratch folder of its node, and takes it away when it ends
in_scratch={shlex.quote(program)}"""


def _run(batch: Batch) -> str:
    program = list(batch.command)
    if batch.container:
        program = containers.container_command(batch.container, containers.python_arguments(program))
    elif batch.conda_env:
        program = ["python", *containers.python_arguments(program)]
    srun = command_lines(batch.srun)
    if batch.scratch:
        srun += ' \\\n    bash -c "$in_scratch" in_scratch'
    return f"""\
# The run. srun's exit code is that of the rank that fared worst; rank 1 writes down how the run itself ended.
export {roles.EXIT_CODE_FILE}="$exit_code_file.run"
rm -f "$exit_code_file.run"
cd {shlex.quote(batch.workdir)} ||
    fail "The working directory cannot be entered on $HOSTNAME." "look at it there."
{srun} \\
    {command_lines(program)}
code=$?
[ ! -s "$exit_code_file.run" ] || code=$(cat "$exit_code_file.run")"""


def _next_job(batch: Batch) -> str:
    folder = PurePosixPath(absolute_path(batch, batch.exit_code_file)).parent
    program = [
        batch.resubmits[0],
        "-P",
        "-m",
        "snakemake_executor_plugin_daskmpi.slurm.submission.resubmit",
        str(folder),
    ]
    return f"""\
# {os.EX_TEMPFAIL}: time is over and jobs are left. The next Slurm job is planned and submitted from here; if that finds
# nothing to do, the workflow is done.
if [ "$code" -eq {os.EX_TEMPFAIL} ]; then
    {command_lines(program, batch.resubmits)} >/dev/null ||
        exit 1
    [ -e {shlex.quote(str(folder / "next.json"))} ] || exit 0
fi"""
