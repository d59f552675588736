"""Whether all ranks have the same folder, packages and time, and what their nodes give them: verdicts.

Runs on: wherever the doctor was started. Pure: facts in, checks out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor.verdict import Check, fail, ok, skipped, warn
from snakemake_executor_plugin_daskmpi.doctor.wording import NAMED, counted, ranks_text

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.doctor.facts import RankFacts, WorldFacts

#: Seconds by which clocks may differ: Snakemake compares the time stamps of files. What it makes of tenths of
#: a second depends on the file system, so these are only pointed out; arbitrary.
CLOCK_FAIL_S, CLOCK_WARN_S = 1.0, 0.1
#: Free space below which temporary files are likely to fail; arbitrary.
SCRATCH_WARN_MB = 1000
#: Seconds for which Snakemake waits for files by default (``--latency-wait``).
_LATENCY_WAIT_S = 5.0
#: File systems of several hosts, as ``/proc/mounts`` calls them.
_NETWORK = (
    "nfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "cifs",
    "smb",
    "panfs",
    "wekafs",
    "afs",
)
_IN_MEMORY = ("tmpfs", "ramfs")


def folder_check(world: WorldFacts) -> Check:
    """Judge whether all ranks see, and write, the same working directory."""
    name, cwd = "working directory", world.ranks[1].cwd
    if world.folder_error:
        return fail(name, world.folder_error, "start where you may write: cd to the workflow's folder.")
    if elsewhere := [rank for rank in world.ranks if rank.token != world.token]:
        where = ", ".join(sorted({rank.cwd for rank in elsewhere}))
        return fail(
            name,
            f"{ranks_text(elsewhere)} (in {where}) cannot see a file that rank 1 has just written in {cwd}",
            f"start in a folder that all nodes share, the same on all ranks: cd {_shared_guess(cwd)} before srun, or "
            "--daskmpi-srun-args=--chdir=FOLDER; in a container, bind it: --daskmpi-container-bind FOLDER.",
        )
    if mute := [rank for rank in world.ranks if not rank.has_written]:
        reason = mute[0].write_error or "what it wrote there was not seen by rank 1"
        return fail(
            name,
            f"{ranks_text(mute)} cannot write in it: {reason}",
            "mount it for writing on the compute nodes, or use a folder that is (often /scratch or /nobackup).",
        )
    slowest = max(world.ranks, key=lambda rank: rank.token_after_s)
    seen = f"{cwd}: all ranks see and write the same"
    if slowest.token_after_s > _LATENCY_WAIT_S:
        wait_s = 2 * int(slowest.token_after_s + 1)
        seen += f", but {ranks_text([slowest])} sees new files only after {slowest.token_after_s:.0f} s"
        return warn(name, seen, f"--latency-wait {wait_s}")
    return ok(name, seen)


def environment_check(world: WorldFacts) -> Check:
    """Judge whether all ranks run the same Python with the same packages."""
    name, first = "environments", world.ranks[1]
    for rank in world.ranks:
        for package in sorted(first.versions.keys() | rank.versions.keys()):
            theirs, ours = (r.versions.get(package, "none") for r in (rank, first))
            if theirs != ours:
                return fail(
                    name,
                    f"{ranks_text([rank])} has {package} {theirs}, rank 1 on {first.host} has {ours}",
                    f"activate one environment on all nodes, from a shared folder: --daskmpi-conda-env, "
                    f"--daskmpi-modules or --daskmpi-setup; on rank 1 it is {first.prefix}.",
                )
    if others := [rank for rank in world.ranks if rank.prefix != first.prefix]:
        return warn(
            name,
            f"equal versions, but {ranks_text(others)} runs {others[0].prefix}, and rank 1 {first.prefix}",
            f"use one environment on all nodes: {first.prefix}/bin/python.",
        )
    return ok(name, f"all ranks run {first.prefix} with equal packages")


def clock_check(world: WorldFacts) -> Check:
    """Judge whether clocks agree, since Snakemake compares time stamps that files got on different hosts."""
    name = "clocks"
    early, late = (pick(world.ranks, key=lambda rank: rank.clock_offset_s) for pick in (min, max))
    apart_s = late.clock_offset_s - early.clock_offset_s
    error_s = late.clock_error_s + early.clock_error_s
    stamped = max((rank.file_offset_s or 0.0 for rank in world.ranks), key=abs)
    seen = f"at most {apart_s + error_s:.3f} s apart; files are stamped {stamped:+.3f} s off the clock"
    remedy = "ask the site to synchronise the clocks of its nodes ('chronyc tracking' and 'timedatectl' show them)."
    if apart_s - error_s > CLOCK_WARN_S:
        between = f"{ranks_text([late])} is {apart_s:.3f} ± {error_s:.3f} s ahead of {ranks_text([early])}"
        if apart_s - error_s > CLOCK_FAIL_S:
            return fail(name, f"{between}: files would seem older than those they were made from", remedy)
        return warn(name, between, remedy)
    if abs(stamped) > CLOCK_FAIL_S:
        return warn(name, seen, remedy)
    return ok(name, seen)


def scratch_check(world: WorldFacts) -> Check:
    """Judge whether temporary files can be written on every rank, and not over the network."""
    name, move = "scratch", "--daskmpi-scratch FOLDER with a folder of the node's own disk, or set TMPDIR."
    if broken := [rank for rank in world.ranks if rank.scratch_error]:
        return fail(name, f"{ranks_text(broken)}: {broken[0].scratch_error}", move)
    least = min(world.ranks, key=lambda rank: rank.scratch_free_mb)
    kinds = sorted({_kind_text(rank.scratch_type) for rank in world.ranks})
    folders = sorted({rank.scratch for rank in world.ranks})
    seen = f"{', '.join(folders[:NAMED])} ({', '.join(kinds)}), at least {least.scratch_free_mb} MB free"
    if remote := [rank for rank in world.ranks if rank.scratch_type.startswith(_NETWORK)]:
        return warn(name, f"{seen}; on {ranks_text(remote)} over the network, which slows jobs", move)
    if least.scratch_free_mb < SCRATCH_WARN_MB:
        return warn(name, f"{seen}, on {ranks_text([least])}", move)
    return ok(name, seen)


def gpu_check(world: WorldFacts) -> Check:
    """Judge whether every worker offers GPUs of its own, where there are any."""
    name, owners = "GPUs", dict[tuple[str, str], "RankFacts"]()
    for rank in world.ranks:
        for gpu in rank.gpus:
            if (other := owners.setdefault((rank.host, gpu), rank)) is not rank:
                return fail(
                    name,
                    f"{ranks_text([other, rank])} both offer GPU {gpu}",
                    "leave --daskmpi-gpus out, or give each task its own: --gpus-per-task=1",
                )
    offering = [rank for rank in world.ranks if rank.gpus]
    seen = "; ".join(f"{ranks_text([rank])} offers {','.join(rank.gpus)}" for rank in offering[:NAMED])
    seen += f"; and {len(offering) - NAMED} more ranks" if len(offering) > NAMED else ""
    idle = [rank for rank in world.ranks if rank.cores and rank.gpu_devices and not rank.gpus]
    if idle:
        found = f"{ranks_text(idle)} sees {counted(idle[0].gpu_devices, 'GPU device')} and offers none to jobs"
        return warn(
            name,
            f"{seen}; {found}" if seen else found,
            "ask for them: --gpus-per-task=1 in the batch script (Slurm then sets CUDA_VISIBLE_DEVICES), "
            "or --daskmpi-gpus 0 where there is no Slurm.",
        )
    return ok(name, seen) if seen else skipped(name, "no rank sees any")


def _kind_text(kind: str) -> str:
    return f"{kind}, in memory" if kind in _IN_MEMORY else kind


def _shared_guess(cwd: str) -> str:
    """Return the folder to go to: not one that is the node's own by custom."""
    return "FOLDER" if cwd.startswith(("/tmp", "/var", "/dev", "/local")) else cwd  # noqa: S108 - names, not files
