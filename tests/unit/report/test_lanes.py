"""Where bars are drawn."""

from __future__ import annotations

from simulated_records import BEGIN, Record
from snakemake_executor_plugin_daskmpi.report.history import RunHistory
from snakemake_executor_plugin_daskmpi.report.lanes import Block, lanes_of


def history(tmp_path):
    record = Record(tmp_path / "run")
    record.run()
    record.worker("rank 10", 1)
    record.worker("rank 9", 4)
    record.job(1, 0, 5, "rank 9", [0, 1, 3])
    record.job(2, 0, 9, "rank 10", [])
    record.end(10)
    return RunHistory(record.write(), BEGIN + 10_000)


def test_a_bar_covers_cores_that_lie_beside_each_other_and_a_job_without_cores_lies_above_them(tmp_path):
    lanes = lanes_of(history(tmp_path))
    assert lanes.blocks == [Block("rank 9", 0, (0, 1, 2, 3)), Block("rank 10", 5, (0,))]
    assert lanes.n_lanes == 7
    assert [(bar.job.jobid, bar.top, bar.bottom) for bar in lanes.bars] == [(1, 1, 3), (1, 4, 5), (2, 5, 6)]


def test_of_too_many_bars_the_longest_are_drawn(tmp_path):
    lanes = lanes_of(history(tmp_path), most_characters=150)
    assert [bar.job.jobid for bar in lanes.bars] == [2]
    assert lanes.n_left_out == 2
