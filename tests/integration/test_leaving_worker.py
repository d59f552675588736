"""A worker with an end of its own takes jobs, drains, and leaves before the run ends; nothing is lost or run twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from joining import TELLS_ADDRESS, events_of, join
from required import at_night
from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow

#: Jobs of a third of a second each, and one at the end that the test lets end.
SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(60)), "last"

    rule short:
        output: "out/{n}"
        shell: "echo ran >> ran.{wildcards.n}; sleep 0.3; touch {output}"

    rule last:
        input: expand("out/{n}", n=range(60))
        output: "last"
        shell: "while [ ! -e go ]; do sleep 0.05; done; touch {output}"
"""

#: A job that never ends where it starts first, and does where it starts again.
CUT_OFF = """
    rule all:
        input: "long", "blocks"

    rule blocks:
        output: "blocks"
        priority: 1
        shell: "touch blocking; while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule long:
        output: "long"
        shell: "echo $$ >> begun; echo half > {output}; [ -e go ] || sleep 1000; echo whole > {output}"
"""


def test_a_worker_drains_and_leaves_before_its_allocation_ends(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE + TELLS_ADDRESS)
    run = workflow.start("--daskmpi-insecure", "--daskmpi-cores", "1")
    with join(workflow, run, "rank 45.0", ends_in_s=15.0) as worker:
        assert worker.wait(60) == 0, run.text
        workflow.write("go", "")
    run.ends_with(0)
    assert [workflow.lines(f"ran.{n}") for n in range(60)] == [["ran"]] * 60
    assert "worker rank 45.0 takes no further jobs, and leaves: Slurm job 45 ends at" in run.text
    assert "lost" not in run.text
    events = events_of(workflow)
    (joined,) = [e for e in events if e["event"] == "worker" and e["worker"] == "rank 45.0"]
    assert joined["allocation"] == "45"
    assert 5 < joined["ends_at"] - joined["time"] < 15
    (left,) = [e for e in events if e["event"] == "worker-left"]
    assert left["worker"] == "rank 45.0"
    there = [e for e in events if e["event"] == "ended" and e["worker"] == "rank 45.0"]
    assert len(there) > 1, "it has worked"
    assert all(e["outcome"] == "ok" for e in events if e["event"] == "ended")
    (log,) = workflow.folder.glob(".snakemake/daskmpi/*/rank-45.0.log")
    assert "rank 45.0 leaves, as rank 1 says" in log.read_text()
    workflow.assert_nothing_left()


def test_a_job_that_still_runs_at_its_workers_end_runs_again_elsewhere(workflow: Workflow):
    workflow.write("Snakefile", CUT_OFF + TELLS_ADDRESS)
    run = workflow.start("--daskmpi-insecure", "--daskmpi-cores", "1")
    workflow.wait_for("blocking", run=run)
    with join(workflow, run, "rank 45.0", ends_in_s=10.0) as worker:
        wait_until(lambda: workflow.lines("begun") or run.has_ended, on_timeout=lambda: run.text)
        assert worker.wait(60) == 0, run.text
        workflow.write("go", "")
    run.ends_with(0)
    assert len(workflow.lines("begun")) == 2
    assert workflow.read("long") == "whole\n"
    assert run.text.count("what still runs there is ended, and starts anew elsewhere: rule long") == 1
    assert "Error in rule" not in run.text
    assert "Trying to restart" not in run.text
    ends = [e["outcome"] for e in events_of(workflow) if e["event"] == "ended"]
    assert sorted(ends) == ["ok", "ok", "timed-out"]
    workflow.assert_nothing_left()


#: Bodies of each sort. Each of them hangs where it runs first, with half of what it makes.
BODIES = """
    NAMES = ["shell", "run", "script", "shadow", "directory", "update", "consumer", "last"]

    rule all:
        input: expand("out/{name}", name=NAMES), "blocks"

    rule blocks:
        output: "blocks"
        priority: 1
        shell: "touch blocking; while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule shell_:
        output: "out/shell"
        log: "logs/shell"
        shell: "echo $$ >> begun.shell; echo half > {output}; [ -e go ] || sleep 1000; echo whole > {output}"

    rule run_:
        output: "out/run"
        run:
            import os, time
            with open("begun.run", "a") as file:
                print(os.getpid(), file=file)
            with open(output[0], "w") as file:
                file.write("half\\n")
            while not os.path.exists("go"):
                time.sleep(0.05)
            with open(output[0], "w") as file:
                file.write("whole\\n")

    rule script_:
        output: "out/script"
        script: "script.sh"

    rule shadow_:
        output: "out/shadow"
        shadow: "minimal"
        params: here=os.getcwd()
        shell:
            "echo $$ >> {params.here}/begun.shadow; echo half > {output}; "
            "[ -e {params.here}/go ] || sleep 1000; echo whole > {output}"

    rule directory_:
        output: directory("out/directory")
        shell:
            "echo $$ >> begun.directory; mkdir {output}; touch {output}/$$; [ -e go ] || sleep 1000"

    rule update_:
        output: update("out/update")
        input: "old"
        shell: "echo $$ >> begun.update; echo new >> {output}; [ -e go ] || sleep 1000; echo newer >> {output}"

    rule temporary:
        output: temp("out/temporary")
        shell: "echo $$ >> begun.temporary; echo half > {output}; [ -e go ] || sleep 1000; echo whole > {output}"

    rule consumer:
        input: "out/temporary"
        output: "out/consumer"
        shell: "cp {input} {output}"

    rule first:
        output: "out/first"
        group: "both"
        shell: "echo $$ >> begun.first; echo first > {output}"

    rule last:
        input: "out/first"
        output: "out/last"
        group: "both"
        shell: "echo $$ >> begun.last; cat {input} > {output}; [ -e go ] || sleep 1000; echo last >> {output}"
"""


@pytest.mark.parametrize("flags", [(), *at_night([(("--daskmpi-no-warm",),)])])
def test_each_sort_of_body_begins_anew(workflow: Workflow, flags: tuple[str, ...]):
    workflow.write("Snakefile", BODIES + TELLS_ADDRESS)
    workflow.write(
        "script.sh",
        'echo $$ >> begun.script; echo half > "${snakemake_output[0]}"; '
        '[ -e go ] || sleep 1000; echo whole > "${snakemake_output[0]}"',
    )
    os.utime(workflow.write("out/update", "old\n"), (1.0, 1.0))
    workflow.write("old", "")
    run = workflow.start("--daskmpi-insecure", "--daskmpi-cores", "1", *flags)
    workflow.wait_for("blocking", run=run)
    hanging = ["shell", "run", "script", "shadow", "directory", "update", "temporary", "last"]
    with join(workflow, run, "rank 45.0", ends_in_s=30.0, cores=8) as worker:
        workflow.wait_for(*(f"begun.{name}" for name in hanging), run=run, filled=True)
        assert worker.wait(60) == 0, run.text
        workflow.write("go", "")
    run.ends_with(0)
    assert [len(workflow.lines(f"begun.{name}")) for name in hanging] == [2] * len(hanging)
    whole = [workflow.read(f"out/{name}") for name in ("shell", "run", "script", "shadow", "consumer")]
    assert whole == ["whole\n"] * 5
    assert workflow.read("out/last") == "first\nlast\n"
    assert workflow.read("out/update") == "old\nnew\nnewer\n"
    assert len(list((workflow.folder / "out/directory").glob("[0-9]*"))) == 1
    assert not workflow.has("out/temporary")
    assert not workflow.incomplete()
    assert "Error in rule" not in run.text


#: Dismisses all workers but one as soon as the run begins.
DISMISSAL = """
    rule all:
        input: expand("out/{n}", n=range(4))

    rule job:
        output: "out/{n}"
        shell: "while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    onstart:
        import gc
        gc.unfreeze()
        from snakemake_executor_plugin_daskmpi.client.pool import Pool
        [pool] = [one for one in gc.get_objects() if isinstance(one, Pool)]

        def dismiss():
            addresses = {info.name: address for address, info in pool._state.queue.workers.items()}
            pool.dismiss([addresses["rank 3"]], "it is enough")

        pool.tell(dismiss)
"""


@pytest.mark.parametrize(("launcher", "ranks"), [("local", 0), ("mpich", 4)])
def test_a_worker_that_was_there_from_the_start_is_dismissed_and_not_started_anew(
    workflow: Workflow, launcher: str, ranks: int
):
    workflow.write("Snakefile", DISMISSAL)
    options = ("--daskmpi-respawn", "1", "--daskmpi-cores", "2")
    run = workflow.start(*options, "--daskmpi-workers", "2", launcher=launcher, ranks=ranks)
    wait_until(
        lambda: run.has_ended or [e for e in events_of(workflow) if e["event"] == "worker-left"],
        on_timeout=lambda: run.text,
    )
    wait_until(lambda: 3 not in workflow.ranks(), on_timeout=lambda: run.text)
    assert workflow.ranks().issuperset({0, 2})
    workflow.write("go", "")
    run.ends_with(0)
    events = events_of(workflow)
    assert [e["worker"] for e in events if e["event"] == "worker"] == ["rank 2", "rank 3"]
    assert {e["worker"] for e in events if e["event"] == "ended"} == {"rank 2"}
    assert "worker-lost" not in {e["event"] for e in events}
    workflow.assert_nothing_left()
