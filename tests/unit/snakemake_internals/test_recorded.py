"""The call that Snakemake compiled from a rule: recorded in one process, made in another, with the same effect."""

from __future__ import annotations

import pickle
import subprocess
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.snakemake_internals.recorded import (
    NotRecordableError,
    Parameter,
    open_text,
    record,
)

if TYPE_CHECKING:
    import types

PARAMETERS = "input, output, params, wildcards, threads, resources, log, rule, jobid, bench_record, bench_iteration"


def compiled(body: str, **names: object) -> types.FunctionType:
    """Return a function as Snakemake compiles one from a rule that stands in line 9 of a Snakefile."""
    from snakemake.script import script
    from snakemake.shell import shell

    source = "\n" * 20 + f"def __rule_a({PARAMETERS}, __is_snakemake_rule_func=True):\n    {body}"
    namespace = {"shell": shell, "script": script, "config": {"key": "value"}, **names}
    exec(compile(source, "Snakefile", "exec"), namespace)  # noqa: S102 - as Snakemake does
    return namespace["__rule_a"]


def recorded(body: str, n_times: int = 0, known: dict | None = None, **names: object):
    given = {
        "input": ["a", "b c"],
        "output": ["out"],
        "threads": 2,
        "resources": {},
        "rule": "a",
        "jobid": 7,
        "wildcards": {},
    }
    return record(compiled(body, **names), given | (known or {}), {"Snakefile": {22: 9}}, n_times)


SHELL = "shell({}, bench_record=bench_record, bench_iteration=bench_iteration)"


def commands(body: str, **names: object) -> list[str]:
    return [arguments[0] for arguments, _ in recorded(SHELL.format(body), **names).calls]


def test_a_command_is_formatted_with_what_rank_1_knows():
    assert commands("'{input} {input[1]:q} {threads} {word} {config[key]} {{kept}}'", word="known") == [
        "a b c 'b c' 2 known value {{kept}}"
    ]


def test_a_command_may_be_an_expression():
    assert commands("'x ' + ' '.join(words)", words=["y", "z"]) == ["x y z"]


def test_a_name_that_there_is_not_is_an_error_here():
    with pytest.raises(NameError, match="nobody"):
        commands("'{nobody}'")


def test_what_is_known_on_the_worker_only_can_be_handed_on_but_not_looked_at():
    made = recorded(SHELL.format("'x'"))
    assert made.calls == ((("x",), {"bench_record": Parameter("bench_record"), "bench_iteration": None}),)
    with pytest.raises(NotRecordableError, match="it names log"):
        commands("'{log}'")


def test_a_script_gets_the_parameters_of_its_process_and_the_configuration():
    made = recorded("script('s.py', input, threads, config, log)")
    assert made.calls == ((("s.py", Parameter("input"), 2, {"key": "value"}, Parameter("log")), {}),)


def test_each_iteration_of_a_benchmark_is_recorded():
    made = recorded(SHELL.format("'{bench_iteration}'"), n_times=3)
    assert [arguments[0] for arguments, _ in made.calls] == ["0", "1", "2"]


def test_a_function_of_the_users_by_the_same_name_is_not_called():
    with pytest.raises(NotRecordableError, match="a function of its own"):
        recorded(SHELL.format("'x'"), shell=lambda *_, **__: pytest.fail("called"))  # noqa: S604 - no shell


def test_a_rule_without_a_body_calls_nothing():
    made = recorded("pass")
    assert (made.called, made.calls) == ("", ())
    assert made.function({})(*[None] * len(made.parameters)) is None


def test_a_recorded_command_runs_elsewhere_and_seems_to_stand_in_the_snakefile(tmp_path):
    body = SHELL.format("'echo {{a}} {resources[tmpdir]} {resources[tmpdir]:q} > ' + str(path) + '; exit 3'")
    sent = pickle.dumps(recorded(body, known={"resources": {"tmpdir": open_text("tmpdir")}}, path=tmp_path / "out"))
    made = pickle.loads(sent)
    run = made.function({"tmpdir": "/scratch/{my dir}"})
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(*[None if name != "resources" else {} for name in made.parameters])
    assert failed.value.returncode == 3
    assert (tmp_path / "out").read_text() == "{a} /scratch/{my dir} /scratch/{my dir}\n"
    places = [(str(entry.frame.code.raw.co_filename), entry.lineno + 1) for entry in failed.traceback]
    assert ("Snakefile", 9) in places
