"""The doctor's world: form it, ask every rank what it sees, run the centre's test program, end it.

Runs on: every rank of the doctor's world, as ``python -m …doctor.probe ORDER`` under srun or mpiexec, or alone.

Rank 1 writes what it has found to stdout, in short lines with a mark: they come through srun whole, also
where the ranks share no folder, and whatever an MPI library prints between them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.doctor import rank_view
from snakemake_executor_plugin_daskmpi.doctor.facts import RankFacts, WorldFacts
from snakemake_executor_plugin_daskmpi.errors import DaskMpiError
from snakemake_executor_plugin_daskmpi.launch.local import start_local_world
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.world import bootstrap
from snakemake_executor_plugin_daskmpi.world.workers import workers_of

if TYPE_CHECKING:
    from distributed import Client

    from snakemake_executor_plugin_daskmpi.world.link import World

#: Stands before each line of the answer.
MARK = "daskmpi-probe| "

#: Clocks are compared so often, and the quickest answer counts.
_CLOCK_ROUNDS = 7
#: Addresses that each rank tries at most: all pairs of a small world, neighbours in a ring of a large one.
_MAX_TRIED = 64
#: Seconds for the questions to all ranks, and for the test program.
_LOOK_S, _TEST_S = 60.0, 60.0


def observe(settings: Settings, launcher: str) -> WorldFacts:
    """Form the world, and return what rank 1 finds; on other ranks of an MPI world it never returns."""
    try:
        bootstrap.enter_world(settings)
        world: World = bootstrap.current_world() or start_local_world(settings, None)
    except DaskMpiError as error:
        return WorldFacts(launcher, error=str(error))
    try:
        return world.link.call(_observe(world, settings, launcher), timeout_s=None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the doctor tells
        return WorldFacts(launcher, error=f"The ranks did not answer.\n  Seen: {type(error).__name__}: {error}")
    finally:
        world.close()


def answer_of(stdout: str) -> WorldFacts | None:
    """Return what a probe has written, None if it did not come that far."""
    lines = [line.partition(MARK)[2] for line in stdout.splitlines() if MARK in line]
    try:
        return WorldFacts.of(json.loads("\n".join(lines)))
    except (ValueError, TypeError, KeyError):
        return None


def write_answer(facts: WorldFacts) -> None:
    """Write what was found to stdout."""
    for line in json.dumps(dataclasses.asdict(facts), indent=0).splitlines():
        print(MARK + line)
    sys.stdout.flush()


async def _observe(world: World, settings: Settings, launcher: str) -> WorldFacts:
    client = world.link.client
    infos = {info.address: info for info in await workers_of(world, settings.startup_timeout)}
    question, token, folder_error = await asyncio.to_thread(_make_folder, settings.scratch)
    try:
        ranks = await asyncio.wait_for(_ranks(client, question, {a: i.name for a, i in infos.items()}), _LOOK_S)
    finally:
        written = await asyncio.to_thread(_remove_folder, question)
    for address, info in infos.items():
        ranks[address] |= {
            "cores": len(info.offer["cores"]),
            "mem_mb": info.offer["mem_mb"],
            "gpus": tuple(info.offer["gpus"]),
        }
    facts = [RankFacts(**{**rank, "has_written": rank["name"] in written}) for rank in ranks.values()]
    return WorldFacts(
        launcher,
        n_asked=world.n_workers + 2,
        token=token,
        folder_error=folder_error,
        scheduler_address=_scheduler_address(client),
        ranks=tuple(sorted(facts, key=lambda rank: int(rank.name.partition(" ")[2]))),
        **await _test_program(client, sorted(infos)),
    )


def _make_folder(scratch: str | None) -> tuple[rank_view.Question, str, str]:
    """Write a file for the others to find; return where it is, what is in it, and why it could not be written."""
    token = secrets.token_hex(16)
    try:
        folder = Path(tempfile.mkdtemp(prefix=".daskmpi-doctor-", dir="."))
        (folder / "token").write_text(token)
    except OSError as error:
        return rank_view.Question("", "", scratch), "", f"{error.strerror}: {Path.cwd()}"
    return rank_view.Question(folder.name, "token", scratch), token, ""


def _remove_folder(question: rank_view.Question) -> set[str]:
    """Remove the folder; return the ranks whose files were in it."""
    if not question.folder:
        return set()
    names = {path.name.replace("-", " ") for path in Path(question.folder).iterdir()}
    shutil.rmtree(question.folder, ignore_errors=True)
    return names


async def _ranks(client: Client, question: rank_view.Question, names: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return what every rank sees, by its address; rank 1 has none and comes as ""."""
    on_scheduler = _scheduler_address(client)
    everyone = [on_scheduler, *sorted(names)]
    seen, scheduler, own, clocks, tried = await asyncio.gather(
        asyncio.gather(*(client.run(rank_view.look, question, name, workers=[a]) for a, name in names.items())),
        client.run_on_scheduler(rank_view.look, question, "rank 0"),
        rank_view.look(question, "rank 1"),
        _clocks(client),
        _connections(client, everyone),
    )
    found = {"": own, on_scheduler: scheduler}
    for answer in seen:
        found |= answer
    for address, facts in found.items():
        offset_s, error_s = clocks.get(address, (0.0, 0.0))
        n_tried, unreachable = tried[address]
        facts |= {"address": address, "clock_offset_s": offset_s, "clock_error_s": error_s}
        facts |= {"n_tried": n_tried, "unreachable": unreachable}
    return found


async def _clocks(client: Client) -> dict[str, tuple[float, float]]:
    """Return by how much clocks are ahead of ours, and how wrong that may be, by address."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(_CLOCK_ROUNDS):
        for ask in (client.run(rank_view.clock), client.run_on_scheduler(rank_view.clock)):
            began = time.time()
            answer = await ask
            ended = time.time()
            them = answer if isinstance(answer, dict) else {_scheduler_address(client): answer}
            error_s = (ended - began) / 2
            for address, theirs in them.items():
                if address not in best or error_s < best[address][1]:
                    best[address] = (theirs - (began + ended) / 2, error_s)
    return best


async def _connections(client: Client, everyone: list[str]) -> dict[str, tuple[int, dict[str, str]]]:
    """Return how many addresses each rank tried to connect to, and which it could not."""

    def others(index: int) -> list[str]:
        ring = everyone[index + 1 :] + everyone[:index]
        return ring[:_MAX_TRIED]

    tasks = [
        rank_view.reach(everyone[:_MAX_TRIED]),
        client.run_on_scheduler(rank_view.reach, others(0)),
        *(client.run(rank_view.reach, others(i), workers=[a]) for i, a in enumerate(everyone) if i),
    ]
    own, scheduler, *workers = await asyncio.gather(*tasks)
    found = {"": (len(everyone[:_MAX_TRIED]), own), everyone[0]: (len(others(0)), scheduler)}
    for answer in workers:
        found |= {address: (len(others(1)), unreachable) for address, unreachable in answer.items()}
    return found


async def _test_program(client: Client, workers: list[str]) -> dict[str, Any]:
    """Run the centre's own test: inc(1) and inc(2), and their sum, each on another worker where there are so many."""
    first, second, third = (workers[i % len(workers)] for i in range(3))
    here = rank_view.add(rank_view.inc(1), rank_view.inc(2))
    try:
        one = client.submit(rank_view.inc, 1, workers=[first], pure=False)
        two = client.submit(rank_view.inc, 2, workers=[second], pure=False)
        total = client.submit(rank_view.add, one, two, workers=[third], pure=False)
        answer: Any = total.result()
        there = await asyncio.wait_for(answer, _TEST_S)
    except Exception as error:  # noqa: BLE001 - whatever it is, the doctor tells
        return {"local_result": here, "test_error": f"{type(error).__name__}: {error}"}
    return {"local_result": here, "dask_result": there}


def _scheduler_address(client: Client) -> str:
    scheduler: Any = client.scheduler
    return str(scheduler.address)


def main(question: dict[str, Any]) -> None:
    """Answer a question, ``{"launcher", "settings"}``."""
    write_answer(observe(Settings(**question["settings"]), question["launcher"]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
