"""Placement of jobs on workers that take only jobs of certain components."""

from __future__ import annotations

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


def offer_of(*components: str, cores: int = 2) -> WorkerResources:
    return WorkerResources(cores=tuple(range(cores)), mem_mb=1000, disk_mb=0, components=components)


def placement_of(patience: int = 32, **offers: WorkerResources) -> Placement:
    placement = Placement(patience=patience)
    for name, offer in offers.items():
        placement.add_worker(name, offer)
    return placement


def test_jobs_go_only_to_workers_of_their_component() -> None:
    placement = placement_of(small=offer_of(""), big=offer_of("big"), both=offer_of("", "gpu"))
    for n in range(9):
        placement.enqueue(f"{n}", JobResources(component=("", "big", "gpu")[n % 3]))
    where = {a.key: a.worker for a in placement.assignments()}
    assert {where[key] for key in "147" if key in where} == {"big"}
    assert {where[key] for key in "258" if key in where} <= {"both"}
    assert {where[key] for key in "036" if key in where} <= {"small", "both"}
    assert len(where) == 6


def test_a_worker_that_got_something_back_takes_no_job_of_another_component() -> None:
    placement = placement_of(a=offer_of("a"), b=offer_of("b"))
    placement.enqueue("runs", JobResources(cores=2, component="a"))
    placement.enqueue("there", JobResources(cores=2, component="b"))
    assert len(placement.assignments()) == 2
    placement.enqueue("waits", JobResources(cores=2, component="b"))
    placement.release("runs")
    assert placement.assignments() == []
    placement.release("there")
    assert [(a.key, a.worker) for a in placement.assignments()] == [("waits", "b")]


def test_only_its_own_workers_are_reserved_for_a_job_and_only_what_starts_there_makes_it_age() -> None:
    placement = placement_of(patience=1, a=offer_of("a"), b=offer_of("b"))
    placement.enqueue("a1", JobResources(component="a"))
    assert len(placement.assignments()) == 1
    placement.enqueue("large", JobResources(cores=2, component="a"))
    for n in range(4):
        placement.enqueue(f"b{n}", JobResources(component="b"))
    assert len(placement.assignments()) == 2
    placement.enqueue("a2", JobResources(component="a"))
    assert [a.key for a in placement.assignments()] == ["a2"], "two starts elsewhere did not reserve its worker"
    placement.release("a2")
    placement.enqueue("a3", JobResources(component="a"))
    assert placement.assignments() == [], "one start there did"
    placement.release("b0")
    assert [a.key for a in placement.assignments()] == ["b2"], "and b goes on"


def test_a_larger_job_of_another_component_does_not_keep_a_successor_away() -> None:
    placement = placement_of(a=offer_of("a", cores=1), b=offer_of("b"))
    for key in ("a1", "a2"):
        placement.enqueue(key, JobResources(component="a"))
    for key in ("b1", "b2"):
        placement.enqueue(key, JobResources(cores=2, component="b"))
    assert len(placement.assignments()) == 2
    successor = placement.successor("a1")
    assert successor is not None
    assert (successor.key, successor.worker) == ("a2", "a")


def test_a_component_that_no_worker_serves_is_refused_with_those_that_are() -> None:
    refusal = placement_of(a=offer_of(""), b=offer_of("big")).refusal(JobResources(component="hge"))
    assert refusal is not None
    assert refusal.happened == "No worker takes jobs of component hge."
    assert refusal.seen == "the workers take jobs that ask for no component, jobs of component big."
    assert refusal.next_step == (
        "give the rule daskmpi_component=big, or let a component take hge in --daskmpi-components."
    )


def test_a_job_that_asks_for_none_is_refused_where_all_workers_are_for_components() -> None:
    refusal = placement_of(b=offer_of("big")).refusal(JobResources())
    assert refusal is not None
    assert refusal.happened == "No worker takes jobs without a component."
    assert "daskmpi_component=big" in refusal.next_step


def test_a_job_too_large_for_its_component_is_refused_though_another_could_hold_it() -> None:
    refusal = placement_of(a=offer_of("a"), b=offer_of("b", cores=8)).refusal(JobResources(cores=4, component="a"))
    assert refusal is not None
    assert refusal.seen == "threads=4, but the largest worker of component a offers 2."


def test_jobs_of_a_component_whose_last_worker_is_lost_are_given_back() -> None:
    placement = placement_of(a=offer_of("a"), b=offer_of("b"))
    placement.enqueue("job", JobResources(component="b"))
    placement.remove_worker("b")
    assert placement.unplaceable() == ["job"]


def test_where_no_worker_names_components_every_worker_takes_every_job() -> None:
    placement = placement_of(w=WorkerResources(cores=(0,), mem_mb=10, disk_mb=0))
    placement.enqueue("job", JobResources(component="anything"))
    assert len(placement.assignments()) == 1
