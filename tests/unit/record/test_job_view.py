"""What a job's view makes of what was noted."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.record.job_view import JobView


@pytest.mark.parametrize(
    ("ended", "peak_mb", "is_exact"),
    [
        ({"peak_pss_mb": 90, "peak_rss_mb": 160}, 90, True),
        ({"peak_rss_mb": 160}, 160, False),
        ({"peak_pss_mb": 0, "peak_rss_mb": 160}, 160, False),
        ({}, None, False),
    ],
)
def test_a_peak_is_pss_where_known_else_rss(ended, peak_mb, is_exact):
    job = JobView("a.1", "rule a", "a", 1, ended=ended)
    assert (job.peak_mb, job.is_peak_exact) == (peak_mb, is_exact)


def test_a_group_is_as_many_jobs_as_it_has_and_another_job_is_one():
    assert JobView("g.1", "group g", "g", "g", members={"a": 2, "b": 1}).n_jobs == 3
    assert JobView("a.1", "rule a", "a", 1).n_jobs == 1
