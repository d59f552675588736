"""Whether the ranks are one world that spans the allocation and can talk: verdicts on what rank 1 saw.

Runs on: wherever the doctor was started. Pure: facts in, checks out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor.verdict import Check, fail, ok, skipped, warn
from snakemake_executor_plugin_daskmpi.doctor.wording import NAMED, counted, hosts_of, ranks_text

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.doctor.facts import RankFacts, WorldFacts
    from snakemake_executor_plugin_daskmpi.rank.roles import Allocation


def world_check(world: WorldFacts) -> Check:
    """Judge whether all ranks became one world."""
    if world.error:
        happened, _, rest = world.error.partition("\n")
        lines = [happened, *(line.strip() for line in rest.splitlines() if not line.strip().startswith("Next:"))]
        lines += [f"it was started as: {world.command}"] if world.command else []
        lines += [f"| {line}" for line in world.said.splitlines()]
        remedy = world.error.partition("Next: ")[2] or "repair what the lines above name, and run the doctor again."
        return fail("world", "\n".join(lines), remedy)
    n, workers = len(world.ranks), [rank for rank in world.ranks if rank.cores]
    cores, mem_mb = sum(rank.cores for rank in workers), sum(rank.mem_mb for rank in workers)
    seen = (
        f"{n} ranks on {counted(len(hosts_of(world.ranks)), 'host')}: scheduler, client and {n} - 2 = "
        f"{counted(len(workers), 'worker')} with {counted(cores, 'core')}, {mem_mb} MB together"
    )
    if n != world.n_asked:
        return fail(
            "world", f"{seen}; {world.n_asked} ranks were started", "run the doctor again; if it stays, report it."
        )
    return ok("world", f"{seen} ({world.launcher})" if world.launcher != "given" else seen)


def components_check(world: WorldFacts, allocation: Allocation | None, *, slurm: str, program: str) -> Check:
    """Judge whether the world spans all components of the allocation, with a rank for each task."""
    name = "components"
    if allocation is None:
        return _outside_an_allocation(name, slurm=slurm, program=program)
    if world.error:
        return skipped(name, "there is no world to look at")
    n = len(allocation.n_tasks)
    given = f"job {allocation.job_id} has {counted(n, 'component')} of {' + '.join(map(str, allocation.n_tasks))} tasks"
    found = [[rank for rank in world.ranks if rank.component == number] for number in range(n)]
    lost = [number for number in range(n) if n > 1 and len(found[number]) != allocation.n_tasks[number]]
    if lost or len(world.ranks) != allocation.n_ranks:
        of_it = f", {len(found[lost[0]])} of them in component {lost[0]}" if lost else ""
        return fail(
            name,
            f"{given}, but the world has {counted(len(world.ranks), 'rank')}{of_it}",
            f"start it over all tasks: srun {f'--het-group=0-{n - 1} ' if n > 1 else ''}…",
        )
    if n == 1:
        return ok(name, f"{given}, which are all in the world")
    return ok(name, "; ".join(f"{number}: {_component_text(ranks)}" for number, ranks in enumerate(found)))


def _outside_an_allocation(name: str, *, slurm: str, program: str) -> Check:
    if not slurm:
        return skipped(name, "there is no Slurm here")
    return skipped(
        name,
        "not in an allocation: what follows is about this host alone, and the compute nodes may differ",
        "to check world, clocks, ports, folders and GPUs there, either of\n"
        f"salloc --ntasks=4 --mem-per-cpu=1G --time=00:05:00 {program}\n"
        f"sbatch --ntasks=2 --mem-per-cpu=1G --time=00:05:00 : --ntasks=2 --mem-per-cpu=1G --wrap '{program}'",
    )


def ports_check(world: WorldFacts) -> Check:
    """Judge whether every rank can connect to every other that listens."""
    name = "ports"
    names = {rank.address: ranks_text([rank]) for rank in world.ranks}
    closed = [(rank, address, why) for rank in world.ranks for address, why in rank.unreachable.items()]
    if not closed:
        return ok(name, f"{sum(rank.n_tried for rank in world.ranks)} connections between ranks, all open")
    lines = [f"{ranks_text([rank])} cannot connect to {names[a]} at {a}: {why}" for rank, a, why in closed[:NAMED]]
    more = [f"and {len(closed) - NAMED} more"] if len(closed) > NAMED else []
    return fail(
        name,
        "\n".join(lines + more),
        "ask the site to open TCP ports above 1024 between these hosts, or take nodes of one network: "
        "--daskmpi-constraint or --daskmpi-partition.",
    )


def encryption_check(world: WorldFacts) -> Check:
    """Judge whether Dask's connections are encrypted."""
    name, address = "encryption", world.scheduler_address
    if address.startswith("tls://"):
        return ok(name, f"Dask listens on {address}")
    if address.startswith(("inproc://", "tcp://127.")):
        return ok(name, f"Dask listens on {address}, which other hosts cannot reach; users of this one can")
    return warn(
        name,
        f"Dask listens on {address}: this release neither encrypts nor authenticates its connections",
        "where others may log in to the nodes, take whole ones: --daskmpi-sbatch-args=--exclusive",
    )


def program_check(world: WorldFacts) -> Check:
    """Judge the centre's own test program, by which users try their set-up: futures on the workers."""
    name = "test program"
    if world.dask_result is not None and world.dask_result == world.local_result:
        return ok(name, f"Dask result: {world.dask_result}, Local result: {world.local_result}")
    seen = world.test_error or f"Dask result: {world.dask_result}, Local result: {world.local_result}"
    return fail(name, seen, "repair what the checks above name, ports first, and run the doctor again.")


def _component_text(ranks: list[RankFacts]) -> str:
    numbers = [rank.name.partition(" ")[2] for rank in ranks]
    which = f"rank{'s' * (len(ranks) > 1)} {numbers[0]}" + (f"-{numbers[-1]}" if len(ranks) > 1 else "")
    workers = [rank for rank in ranks if rank.cores]
    offer = f" with {counted(workers[0].cores, 'core')}, {workers[0].mem_mb} MB" if workers else ""
    return f"{which} on {', '.join(hosts_of(ranks)[:NAMED])}{offer}"
