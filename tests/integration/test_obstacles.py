"""A job that cannot go warm is spawned, says why in the debug log, and ends the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Workflow

#: Jobs with an obstacle each, and one without.
OBSTACLES = """
    import threading

    rule all:
        input: "group.txt", "lock.txt", "cached.txt", "piped.txt", "warm.txt", "served.txt"

    rule first_of_group:
        output: "first.txt"
        group: "both"
        shell: "echo first > {output}"

    rule second_of_group:
        input: "first.txt"
        output: "group.txt"
        group: "both"
        run:
            with open(output[0], "w") as file:
                file.write(open(input[0]).read() + "second")

    rule lock:
        output: "lock.txt"
        params: lock=lambda wildcards: {"lock": threading.Lock()}
        run:
            with params.lock["lock"], open(output[0], "w") as file:
                file.write("locked")

    rule cached:
        output: "cached.txt"
        cache: True
        shell: "echo cached > {output}"

    rule pipe:
        output: pipe("the.pipe")
        shell: "echo through the pipe > {output}"

    rule piped:
        input: "the.pipe"
        output: "piped.txt"
        shell: "cat {input} > {output}"

    rule service:
        output: service("the.service")
        shell: "ln -s /dev/null {output}; sleep 1000"

    rule served:
        input: "the.service"
        output: "served.txt"
        shell: "test -e {input} && echo served > {output}"

    rule warm:
        output: "warm.txt"
        run:
            import os
            with open(output[0], "w") as file:
                print(os.getppid(), file=file)
"""


def test_jobs_with_an_obstacle_are_spawned_with_right_results(workflow: Workflow):
    workflow.write("Snakefile", OBSTACLES)
    (workflow.folder / "cache").mkdir()
    env = {"SNAKEMAKE_OUTPUT_CACHE": str(workflow.folder / "cache")}
    run = workflow.start("--verbose", "--cache", "--daskmpi-cores", "4", env=env)
    run.ends_with(0)
    for name, text in {
        "group.txt": "first\nsecond",
        "lock.txt": "locked",
        "cached.txt": "cached\n",
        "piped.txt": "through the pipe\n",
        "served.txt": "served\n",
    }.items():
        assert workflow.read(name) == text
    assert "is spawned: it is a group job" in run.text
    assert "is spawned: it cannot be packed: TypeError" in run.text
    assert "is spawned: its output is cached" in run.text
    assert not [line for line in run.text.splitlines() if "rule warm" in line and "is spawned" in line]


def test_no_warm_spawns_every_job(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    run: open(output[0], 'w').write(' '.join(sys.argv))\n")
    workflow.write("Snakefile", "import sys\n" + workflow.read("Snakefile"))
    run = workflow.start("--daskmpi-no-warm", "--verbose")
    run.ends_with(0)
    assert "is spawned: --daskmpi-no-warm is set" in run.text
    assert "--mode remote" in workflow.read("a")


def test_a_failed_group_job_is_reported_by_its_rules(workflow: Workflow):
    workflow.write("Snakefile", OBSTACLES.replace("echo first > {output}", "echo to no avail; exit 6"))
    run = workflow.start("group.txt")
    run.ends_with(1)
    assert "first_of_group, second_of_group" in run.text
    assert "Next: " in run.text


def test_a_snakefile_that_only_the_worker_cannot_parse_makes_it_spawn_with_one_warning(workflow: Workflow):
    # The second parse is that of the worker; those of the spawned jobs come later.
    snakefile = """
        with open("parses", "a+") as file:
            print("parsed", file=file)
            file.seek(0)
            if len(file.readlines()) == 2:
                raise OSError("the file system has a bad moment")

        rule all:
            input: expand("out/{n}.txt", n=range(3))

        rule one:
            output: "out/{n}.txt"
            shell: "echo {wildcards.n} > {output}"
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start()
    run.ends_with(0)
    assert [workflow.read(f"out/{n}.txt") for n in range(3)] == ["0\n", "1\n", "2\n"]
    assert run.text.count("jobs are spawned, which is slower") == 1
    assert run.text.count("OSError: the file system has a bad moment") == 1
