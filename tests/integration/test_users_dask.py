"""What a user has configured for Dask has no part in the world, and user code still sees it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow

pytestmark = pytest.mark.program

#: Each would end the world, or keep it from starting. All that take seconds end before the jobs do.
HOSTILE = """
    temporary-directory: /proc/nowhere
    scheduler-address: tcp://127.0.0.1:1
    distributed:
      logging-file-config: nowhere.ini
      worker:
        lifetime: {duration: 3s, stagger: 1s, restart: false}
        preload: [no_such_module_of_workers]
        resources: {GPU: 2}
        memory: {terminate: 0.001}
      scheduler:
        idle-timeout: 2s
        no-workers-timeout: 1s
        worker-ttl: 1s
        preload: [no_such_module_of_schedulers]
        blocked-handlers: [register-client]
      nanny: {preload: [no_such_module_of_nannies]}
      client:
        preload: [no_such_module_of_clients]
        security-loader: no_such_module.security
      comm:
        default-scheme: ucx
        require-encryption: false
        tls: {ca-file: nowhere.pem, ciphers: nonsense}
      admin: {event-loop: no-such-loop, pdb-on-err: true}
"""

#: Of the environment, which goes before files.
VARIABLES = {
    "DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION": "2s",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "'many'",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1ms",
}

LONG_JOBS = """
    rule all:
        input: expand("out/{n}.txt", n=range(4))

    rule one:
        output: "out/{n}.txt"
        shell: "sleep 6; echo {wildcards.n} > {output}"
"""

#: Writes Dask's configuration as the user's code finds it: on a worker, in a script, and where Snakemake runs.
TELLING = """
    import json

    {first}

    def seen():
        import dask
        import distributed.config

        return json.dumps(dask.config.config, sort_keys=True, default=str)

    onsuccess:
        with open("handler.json", "w") as file:
            file.write(seen())

    rule all:
        input: "run.json", "script.json"

    rule run:
        output: "run.json"
        run:
            with open(output[0], "w") as file:
                file.write(seen())

    rule script:
        output: "script.json"
        script: "body.py"
"""

BODY = """
    import json

    import dask
    import distributed.config

    with open(snakemake.output[0], "w") as file:
        json.dump(dask.config.config, file, sort_keys=True, default=str)
"""

TOLD = ("run.json", "script.json", "handler.json")

#: Whatever code of the user's starts a cluster of its own.
CLUSTER = """
    def total():
        from dask.distributed import Client, LocalCluster

        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
            with Client(cluster) as client:
                assert client.cluster is cluster
                return client.submit(sum, [1, 2, 3]).result(timeout=60)

    onsuccess:
        with open("handler.txt", "w") as file:
            print(total(), file=file)

    rule all:
        input: "run.txt", "script.txt", "local.txt"

    rule run:
        output: "run.txt"
        run:
            with open(output[0], "w") as file:
                print(total(), file=file)

    rule script:
        output: "script.txt"
        script: "body.py"

    rule local:
        output: "local.txt"
        localrule: True
        run:
            with open(output[0], "w") as file:
                print(total(), file=file)
"""

#: A client without an address starts a cluster, unless the configuration names one.
CLUSTER_BODY = """
    from dask.distributed import Client

    if __name__ == "__main__":
        with Client(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
            assert client.cluster is not None
            with open(snakemake.output[0], "w") as file:
                print(client.submit(sum, [1, 2, 3]).result(timeout=60), file=file)
"""


def configured(workflow: Workflow, text: str) -> dict[str, str]:
    """Write a configuration of the user's, and return the environment that names it."""
    workflow.write("dask/user.yaml", text)
    return {"DASK_CONFIG": str(workflow.folder / "dask")}


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_a_users_configuration_has_no_part_in_the_world(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", LONG_JOBS)
    run = workflow.start(launcher=launcher, env=configured(workflow, HOSTILE) | VARIABLES)
    run.ends_with(0)
    assert [workflow.read(f"out/{n}.txt") for n in range(4)] == ["0\n", "1\n", "2\n", "3\n"]
    assert "lost" not in run.text


@pytest.mark.nightly
def test_a_configuration_in_the_home_directory_has_no_part_in_the_world(workflow: Workflow):
    workflow.write("Snakefile", LONG_JOBS)
    workflow.write("home/.config/dask/distributed.yaml", "distributed: {worker: {lifetime: {duration: 3s}}}\n")
    workflow.start(launcher="local", env={"HOME": str(workflow.folder / "home")}).ends_with(0)


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
@pytest.mark.parametrize(
    "first",
    [
        pytest.param("", id="later", marks=pytest.mark.nightly),
        pytest.param("import dask; dask.config.set({{'mine': 1, 'distributed.client.heartbeat': '7s'}})", id="at once"),
    ],
)
def test_user_code_sees_its_own_configuration(workflow: Workflow, first: str, launcher: str):
    workflow.write("Snakefile", TELLING.format(first=first.replace("{{", "{").replace("}}", "}")))
    workflow.write("body.py", BODY)
    env = configured(workflow, "distributed: {worker: {lifetime: {duration: 3s}}}\nmine: 0\n")
    env["DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT"] = "2s"
    seen = []
    for executor in (REFERENCE, launcher):
        workflow.start("--cores", "2", "--forceall", launcher=executor, env=env).ends_with(0)
        seen.append({name: json.loads(workflow.read(name)) for name in TOLD})
    assert seen[1] == seen[0]
    assert seen[1]["handler.json"]["distributed"]["worker"]["lifetime"]["duration"] == "3s"


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_user_code_may_start_a_cluster_of_its_own(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", CLUSTER)
    workflow.write("body.py", CLUSTER_BODY)
    workflow.start("--cores", "2", launcher=launcher).ends_with(0)
    assert [workflow.read(f"{name}.txt") for name in ("run", "script", "local", "handler")] == ["6\n"] * 4


def test_a_file_that_dask_cannot_read_is_named(workflow: Workflow):
    workflow.write("Snakefile", LONG_JOBS)
    run = workflow.start(launcher="local", env=configured(workflow, "distributed: {worker: [\n"))
    run.ends_with(1)
    assert "Dask cannot be imported." in run.text
    assert "user.yaml" in run.text
    assert "Next: " in run.text
    assert "Traceback" not in run.text


def test_a_users_configuration_is_forgotten_and_then_given_back():
    program = """
        import dask

        pool = object()
        dask.config.set({"mine": 1, "pool": pool, "distributed.worker.lifetime.duration": "3s"})
        before = dask.config.merge(dask.config.config)
        from snakemake_executor_plugin_daskmpi.rank import dask_config

        dask_config.apply_dask_config()
        dask_config.apply_dask_config()
        assert dask.config.get("distributed.worker.lifetime.duration") is None
        assert dask.config.get("distributed.scheduler.allowed-failures") == 0
        assert dask.config.get("mine", None) is None
        dask.config.set(scheduler_address="tls://ours")
        dask_config.give_back_dask_config()
        after = dask.config.config
        assert all(after[name] == value for name, value in before.items() if name != "distributed")
        assert after["pool"] is pool
        assert "scheduler_address" not in after and "scheduler-address" not in after
        assert dask.config.get("distributed.worker.lifetime.duration") == "3s"
        assert dask.config.get("distributed.scheduler.allowed-failures") == 3
    """
    subprocess.run([sys.executable, "-P", "-c", textwrap.dedent(program)], check=True, timeout=60)
