"""Where bars are drawn."""

from __future__ import annotations

from records import START, Record
from snakemake_executor_plugin_daskmpi.report.history import RunHistory
from snakemake_executor_plugin_daskmpi.report.lanes import Block, lanes_of


def history(tmp_path):
    record = Record(tmp_path)
    record.worker("rank 10", 1)
    record.worker("rank 9")
    record.job("r", 0, 5, worker="rank 9", cores=[0, 1, 3])
    record.job("r", 0, 9, worker="rank 10", cores=[])
    record.end(10)
    return RunHistory(record.folder, START + 10_000)


def test_a_bar_covers_cores_that_lie_beside_each_other_and_a_job_without_cores_lies_above_them(tmp_path):
    lanes = lanes_of(history(tmp_path))
    assert lanes.blocks == [Block("rank 9", 0, (0, 1, 2, 3)), Block("rank 10", 5, (0,))]
    assert lanes.n_lanes == 7
    assert [(bar.job.jobid, bar.top, bar.bottom) for bar in lanes.bars] == [(1, 1, 3), (1, 4, 5), (2, 5, 6)]


def test_of_too_many_bars_the_longest_are_drawn(tmp_path):
    lanes = lanes_of(history(tmp_path), most_characters=150)
    assert [bar.job.jobid for bar in lanes.bars] == [2]
    assert lanes.n_left_out == 2
