"""What is drawn."""

from __future__ import annotations

from records import START, Record
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.report.lanes import lanes_of
from snakemake_executor_plugin_daskmpi.report.plots import plots_of


def drawn(record):
    history = history_of(record.folder)
    return plots_of(figures_of(history), lanes_of(history))


def test_the_timeline_shows_when_a_worker_was_not_there(tmp_path):
    record = Record(tmp_path)
    record.worker(cores=2)
    record.worker(cores=1, at=5)
    record.job(seconds=20)
    record.note("worker-lost", 8, worker="rank 3", comes_back=True, waits=[])
    record.worker("rank 3", cores=1, at=12)
    record.note("worker-lost", 20, worker="rank 3", comes_back=False, waits=[])
    record.end(30)
    boxes = drawn(record)["timeline"].select_one({"name": "away"}).data_source.data
    times = [[(at / 1000 - START) % 3600 for at in boxes[side]] for side in ("left", "right")]
    lanes = zip(boxes["top"], boxes["bottom"], strict=True)
    seen = [box for box in zip(*times, lanes, strict=True) if box[0] < box[1]]
    # Rank 3 has the lanes below the three of rank 2: one for its core, one for jobs without cores.
    assert seen == [(0, 5, (3.5, 5.5)), (8, 12, (3.5, 5.5)), (20, 30, (3.5, 5.5))]


def test_idle_cores_are_stacked_by_reason(tmp_path):
    record = Record(tmp_path)
    record.worker(cores=4)
    record.job(cores=[0], seconds=10)
    record.job(begin=10, cores=[0, 1, 2, 3], submitted_at=0)
    record.job(begin=20, cores=[0])
    record.end(30)
    areas = [each for each in drawn(record)["idle"].renderers if "y1" in each.data_source.data]
    assert [max(area.data_source.data["y2"]) for area in areas] == [3, 3]
    tops = [area.data_source.data["y2"][-1] - area.data_source.data["y1"][-1] for area in areas]
    assert tops == [3, 0]
