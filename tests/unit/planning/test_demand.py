"""What is computed from what has to run."""

from __future__ import annotations

from demands import demand, many, need
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job


def test_equal_jobs_are_one_shape() -> None:
    shapes = demand(many(3, "a", 2), many(2, "b", 2), many(1, "c", 4)).shapes()
    assert [(shape.rules, shape.count, shape.need.cores) for shape in shapes] == [(("c",), 1, 4), (("a", "b"), 5, 2)]
    assert [shape.work for shape in shapes] == [20, 50]


def test_the_critical_path_is_the_longest_chain() -> None:
    jobs = [Job("a", need(minutes=5)), Job("b", need(minutes=50)), Job("c", need(minutes=7), after=(0,))]
    jobs += [Job("d", need(minutes=40), after=(2,)), Job("e", need(minutes=1), after=(0, 2, 3))]
    assert Demand(tuple(jobs)).critical_path_min() == 53


def test_a_long_chain_is_no_deep_recursion() -> None:
    jobs = [Job("a", need(minutes=1), after=(i - 1,) if i else ()) for i in range(3000)]
    assert Demand(tuple(reversed([Job(j.rule, j.need) for j in jobs]))).critical_path_min() == 1
    assert Demand(tuple(jobs)).critical_path_min() == 3000
