"""An error in the event loop of a run becomes the run's error, wherever it is raised."""

from __future__ import annotations

import asyncio
import contextlib

from snakemake_executor_plugin_daskmpi.client.guard import Guard


def fail() -> None:
    raise ValueError("odd")


async def fail_later() -> None:
    await asyncio.sleep(0)
    fail()


def test_a_step_that_fails_is_told_of_and_raises_nothing():
    told: list[Exception] = []
    Guard(told.append).step(fail)()
    assert [str(error) for error in told] == ["odd"]


def test_a_step_that_does_not_fail_is_just_done():
    told: list[Exception] = []
    done: list[int] = []
    Guard(told.append).step(lambda: done.append(1))()
    assert (done, told) == ([1], [])


def test_what_fails_in_the_background_is_told_of():
    async def main() -> Exception:
        told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        Guard(told.set_result).in_background(fail_later())
        return await asyncio.wait_for(told, 5)

    assert str(asyncio.run(main())) == "odd"


def test_the_end_of_a_process_is_no_error_of_the_run():
    told: list[Exception] = []

    def end() -> None:
        raise SystemExit(3)

    with contextlib.suppress(SystemExit):
        Guard(told.append).step(end)()
    assert told == []
