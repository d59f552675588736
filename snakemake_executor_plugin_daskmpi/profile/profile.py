"""A starter profile for a site, with a reason for each line, from what is found there.

Runs on: the login node, or a laptop. ``render_profile`` is pure.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.mpi.pmi import NAMES, PMI_TYPE
from snakemake_executor_plugin_daskmpi.settings.durations import duration_text

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.slurm.site import Partition, Site
    from snakemake_executor_plugin_daskmpi.slurm.surroundings import Surroundings

#: Partitions that are listed besides the default one.
_LISTED = 8
#: Columns that comments fill.
_WIDTH = 100
#: How YAML would read these is clear without quotes.
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)$)[A-Za-z_/][\w./+-]*", re.IGNORECASE)


def write_profile(text: str, folder: Path, *, force: bool, verb: str = "profile") -> Path:
    """Write a profile into a folder, which is made where it is missing; return its path.

    Parameters
    ----------
    verb
        Of ``snakemake-daskmpi``, that the text is of.

    Raises
    ------
    LaunchError
        If there is one already, or it cannot be written.
    """
    path = folder / "config.yaml"
    try:
        _check_no_file(folder, verb)
        folder.mkdir(parents=True, exist_ok=True)
        # "x" fails also if another process makes it in this moment.
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise LaunchError(
            f"{path} exists; it was left as it is.",
            seen=f"{path.stat().st_size if path.exists() else 0} bytes.",
            next_step=f"--force overwrites it; diff {path} <(snakemake-daskmpi {verb}) compares.",
        ) from None
    except OSError as error:
        raise LaunchError(
            f"{path} cannot be written.",
            seen=f"{error.strerror}.",
            next_step="--output with a folder that you may write to.",
        ) from None
    return path


def _check_no_file(folder: Path, verb: str) -> None:
    """Raise LaunchError if there is a file where a folder is wanted, or above it."""
    for one in (folder, *folder.parents):
        if one.exists() and not one.is_dir():
            raise LaunchError(
                f"{one} is a file, and --output wants a folder.",
                seen=f"config.yaml is to be written into {folder}.",
                next_step=f"snakemake-daskmpi {verb} --output with a folder, or > FILE without --output.",
            )


def render_profile(found: Surroundings) -> str:
    """Return the text of ``config.yaml``."""
    if found.site:
        title, own = (
            f"on {found.site.cluster or 'this cluster'} (Slurm {found.site.version})",
            _of_slurm(found, found.site),
        )
    else:
        title, own = "without Slurm", _of_this_machine(found)
    head = (
        f"# Starter profile for Snakemake {title}, written by 'snakemake-daskmpi profile'.\n"
        "# As profiles/default/config.yaml it is taken by itself, anywhere else by --profile FOLDER.\n"
        "# Any flag of snakemake can stand here without its dashes, and wins over this on the command line.\n"
        "# Lines that begin with '#' and a key are suggestions."
    )
    return "\n\n".join([head, *_always(), *own, _default_resources(found.site).rstrip()]) + "\n"


def _entry(reason: str, line: str, *, is_active: bool = True) -> str:
    """Return a line of the profile below its reason; one that is not active is commented out."""
    paragraphs = (textwrap.wrap(text, _WIDTH - 2, subsequent_indent="  ") for text in reason.splitlines())
    comment = [f"# {text}" for paragraph in paragraphs for text in paragraph]
    return "\n".join([*comment, line if is_active else f"#{line}"])


def _always() -> list[str]:
    return [
        _entry("Run all jobs inside one allocation.", "executor: daskmpi"),
        _entry(
            "Hand over all jobs that are ready: the plugin places them by cores, memory and GPUs.", "jobs: unlimited"
        ),
        _entry(
            "Where --resources ration something, the default one solves an optimisation problem per round.",
            "scheduler: greedy",
        ),
    ]


def _of_slurm(found: Surroundings, site: Site) -> list[str]:
    default = site.partition(None)
    limit = default.max_minutes if default else None
    most = f"The partition allows {duration_text(limit)}." if limit else "The partition has no limit."
    nodes = sum(kind.count for kind in default.nodes) if default else 0
    entries = [
        _entry("Plan one Slurm job from the workflow, submit it and follow it.", "daskmpi-launcher: sbatch"),
        _partition_entry(site, default),
        _account_entry(site.accounts),
        _entry(f"Left out, it is planned from the rules' runtime. {most}", "daskmpi-walltime: 2h", is_active=False),
        _entry(
            f"Most workers to ask for, though a workflow could use more. {nodes} nodes of the partition are up.",
            "daskmpi-max-workers: 16",
        ),
        _modules_entry(found.modules),
        _environment_entry(found),
        *_mpi_entries(found, site),
        _entry(
            "Where the nodes have disks of their own: temporary files go there, and not to TMPDIR.",
            'daskmpi-scratch: "/scratch/$SLURM_JOB_ID"',
            is_active=False,
        ),
    ]
    if default and any(kind.threads_per_core > 1 for kind in default.nodes):
        reason = (
            "Nodes have hyperthreads: ranks 0 and 1, which do little, can share a core. Compare a short run without."
        )
        entries.append(_entry(reason, "daskmpi-hyperthread: true", is_active=False))
    return entries


def _partition_entry(site: Site, default: Partition | None) -> str:
    others = [p for p in site.partitions if p is not default and p.is_up and p.nodes]
    reason = f"The site's default: {_partition_text(default)}." if default else "The site has no default partition."
    if others:
        reason += " Rules get their jobs elsewhere by resources: slurm_partition=NAME:\n"
        reason += "\n".join(f"- {p.name}: {_partition_text(p)}" for p in others[:_LISTED])
        reason += f"\n- and {len(others) - _LISTED} more (sinfo)" if len(others) > _LISTED else ""
    name = default.name if default else others[0].name if others else "NAME"
    return _entry(reason, f"daskmpi-partition: {scalar(name)}", is_active=default is not None)


def _account_entry(accounts: frozenset[str] | None) -> str:
    if accounts is None:
        return _entry("This Slurm does not insist on an account.", "daskmpi-account: NAME", is_active=False)
    names = sorted(accounts)
    if len(names) == 1:
        return _entry("The only account that you have.", f"daskmpi-account: {scalar(names[0])}")
    reason = f"You have {', '.join(names) or 'none that Slurm would tell'}. Left out, Slurm takes your default."
    return _entry(reason, f"daskmpi-account: {scalar(names[0]) if names else 'NAME'}", is_active=False)


def _modules_entry(modules: tuple[str, ...]) -> str:
    if not modules:
        reason = "What the batch script loads after 'module purge'. None are loaded now."
        return _entry(reason, "daskmpi-modules: NAMES", is_active=False)
    return _entry(
        "What is loaded now; the batch script loads it after 'module purge'.",
        f"daskmpi-modules: {scalar(' '.join(modules))}",
    )


def _environment_entry(found: Surroundings) -> str:
    if found.conda_env:
        return _entry("The environment that is active now.", f"daskmpi-conda-env: {scalar(found.conda_env)}")
    reason = f"Left out, the batch script runs the Python that plans: now the one in {found.prefix}."
    return _entry(reason, "daskmpi-conda-env: NAME", is_active=False)


def _mpi_entries(found: Surroundings, site: Site) -> list[str]:
    name, needed = NAMES.get(found.mpi_kind, ""), PMI_TYPE.get(found.mpi_kind, "pmi2")
    if not found.mpi_kind:
        said = "mpi4py loads no MPI library here: 'snakemake-daskmpi doctor' says more."
    elif not name:
        said = (
            f"mpi4py loads a library that this program does not know: 'auto' takes {needed} for it. Slurm offers "
            f"{', '.join(sorted(site.mpi_types)) or 'nothing that it would tell'}."
        )
    elif needed in {mpi_type.partition("_")[0] for mpi_type in site.mpi_types}:
        said = f"That is {needed}, since mpi4py loads {name}; Slurm offers it."
    else:
        said = f"mpi4py loads {name}, which needs {needed}, and Slurm does NOT offer that: 'snakemake-daskmpi doctor'."
    entries = [_entry(f"How ranks meet under srun. {said}", "daskmpi-pmi: auto")]
    if found.mpi_kind == "intel" and found.pmi_library:
        line = f"daskmpi-pmi-library: {scalar(found.pmi_library)}"
        entries.append(_entry("Intel MPI needs Slurm's PMI-2 library, and would find it there by itself.", line))
    elif found.mpi_kind == "intel":
        line = "daskmpi-pmi-library: /opt/slurm/lib64/libpmi2.so"
        entries.append(
            _entry("Intel MPI needs Slurm's PMI-2 library, which was not found: say where.", line, is_active=False)
        )
    return entries


def _of_this_machine(found: Surroundings) -> list[str]:
    why = found.silence or "There is no Slurm here."
    if found.mpi_kind and found.has_mpiexec:
        launcher = _entry(f"{why} mpiexec starts the ranks; 'local' does without MPI.", "daskmpi-launcher: mpiexec")
    else:
        launcher = _entry(f"{why} 'local' starts processes on this machine, without MPI.", "daskmpi-launcher: local")
    reason = f"One worker with {found.cores} cores, all of this machine. With two, a run survives the loss of one."
    return [launcher, _entry(reason, "daskmpi-workers: 1")]


def _default_resources(site: Site | None) -> str:
    runtime = "  # Minutes. Walltime and makespan are planned from it, so rules should say.\n  runtime: 10"
    return """\
# What a job asks for whose rule does not say.
default-resources:
  # Memory in MB. Snakemake's own default is 1,000 or more.
  mem_mb: 500
  # Scratch space in MB. Snakemake's own default is 50,000 for a job without input.
  disk_mb: 100
""" + (runtime if site else "")


def _partition_text(partition: Partition) -> str:
    kinds = [
        f"{kind.count} x {kind.cpus} CPUs, {kind.mem_mb} MB"
        + "".join(f", {n} GPU {model}".rstrip() for model, n in kind.gpus)
        for kind in partition.nodes
    ]
    whole = ", whole nodes" if partition.whole_nodes else ""
    limit = f", at most {duration_text(partition.max_minutes)}" if partition.max_minutes else ""
    return "; ".join(kinds) + whole + limit


def scalar(text: str) -> str:
    """Return a word as YAML writes it.

    >>> scalar("main"), scalar("1-00"), scalar("no"), scalar("a b")
    ('main', '"1-00"', '"no"', '"a b"')
    """
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
