"""What a profile says to Snakemake's slurm executor plugin, taken over."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.settings.slurm_plugin import take_over


@pytest.mark.parametrize(
    ("options", "own", "expected"),
    [
        ({"slurm-qos": "low"}, {}, {"qos": "low"}),
        ({"slurm-qos": "low"}, {"qos": "high"}, {"qos": "high"}),
        ({"slurm-reservation": "a course"}, {}, {"sbatch_args": "'--reservation=a course'"}),
        (
            {"slurm-exclude-failed-nodes": "n1,n2", "slurm-jobname-prefix": "mine"},
            {"sbatch_args": "--nice=1\ngpu: --exclusive"},
            {"sbatch_args": "--exclude=n1,n2 --job-name=mine\n--nice=1\ngpu: --exclusive"},
        ),
        ({"slurm-no-requeue": True, "slurm-no-account": True, "slurm-keep-successful-logs": True}, {}, {}),
    ],
)
def test_what_has_a_meaning_here_gets_it_after_what_is_said_to_us(options, own, expected):
    settings = Settings(**own)
    assert take_over(settings, options) == []
    assert settings == Settings(**{**own, **expected})


def test_what_has_none_is_returned_in_its_order():
    options = {"slurm-requeue": True, "slurm-qos": "low", "slurm-logdir": "logs", "cluster-generic-submit-cmd": "qsub"}
    assert take_over(Settings(), options) == ["slurm-requeue", "slurm-logdir", "cluster-generic-submit-cmd"]
