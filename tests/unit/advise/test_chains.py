"""What a chain of runs teaches, each of which a Slurm job went on with: it is one run, of which each did a part."""

from __future__ import annotations

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.advise import runs
from snakemake_executor_plugin_daskmpi.advise.advice import advice_for
from snakemake_executor_plugin_daskmpi.advise.advise import profile_of
from snakemake_executor_plugin_daskmpi.advise.usage import usages_of

IDS = tuple(f"2026-01-0{day}T1" for day in range(1, 5))


@pytest.fixture
def chain(tmp_path):
    """A chain whose runs had 5, 4 and 3 jobs to do, and did 1, 1 and 3 of them; the second run here is none of it."""
    for run_id, begun_by, n_all, n_done in zip(IDS, (0, 1, 0, 0), (5, 1, 4, 3), (1, 1, 1, 3), strict=True):
        record = Record(tmp_path, run_id, first_run=IDS[begun_by])
        record.worker()
        record.note("jobs", by_rule={"one": n_all})
        for number in range(n_done):
            record.job(jobid=number, asks={"mem_mb": 1000}, peak_pss_mb=100)
        record.end(20, done=n_done, total=n_all)
    return [IDS[0], IDS[2], IDS[3]]


def test_without_a_name_it_is_all_of_the_newest_chain(tmp_path, chain):
    assert [view.folder.name for view in runs.chosen(tmp_path, [])] == chain
    assert [view.folder.name for view in runs.chosen(tmp_path, chain[1:2])] == chain[1:2]


def test_jobs_of_two_runs_of_a_chain_are_no_two_measurements_of_the_same(tmp_path, chain):
    def told(*names):
        (usage,) = usages_of(runs.chosen(tmp_path, names))
        return advice_for(usage)

    assert "memory: only 2 jobs of one run measured" in " ".join(told(*chain[:2]).remarks)
    assert told(*chain).mem_mb.amount == 120
    # Where two runs are two, a job of each is enough.
    assert told(IDS[1], chain[1]).mem_mb.amount == 120


def test_there_is_one_table_of_the_run_that_did_most(tmp_path, chain):
    text = profile_of(tmp_path, [])
    for name, n_done in zip(chain, (1, 1, 3), strict=True):
        assert f"# From the run {name}: {n_done} job{'s' * (n_done != 1)} done.\n" in text
    assert "They are one chain" in text
    assert text.count("from its first job to the end of its last one") == 1
    assert f"# The run {chain[2]} took" in text
    assert "fewer than half" not in text


def test_a_chain_of_which_no_run_did_half_has_no_table_and_one_reason(tmp_path):
    for run_id in IDS[:2]:
        record = Record(tmp_path, run_id, first_run=IDS[0])
        record.worker()
        record.note("jobs", by_rule={"one": 9})
        record.job()
    text = profile_of(tmp_path, [])
    assert text.count("fewer than half") == 1
