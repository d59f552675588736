"""The verb ``advise``: from records of runs to the profile of the next one.

Runs on: the login node, or a laptop.
Called by: cli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.advise import profile_text, runs
from snakemake_executor_plugin_daskmpi.advise.advice import advice_for
from snakemake_executor_plugin_daskmpi.advise.replay import replay_of
from snakemake_executor_plugin_daskmpi.advise.shapes import shapes_of
from snakemake_executor_plugin_daskmpi.advise.usage import usages_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def profile_of(workdir: Path, names: Sequence[str]) -> str:
    """Return the profile that some runs of a folder teach, the newest one and its chain if none is named.

    Raises
    ------
    LaunchError
        If there is no such run.
    """
    views = runs.chosen(workdir, names)
    advice = [advice_for(usage) for usage in usages_of(views)]
    by_rule = {each.rule: each for each in advice}
    told = [view for view in views if runs.is_half_done(view)]
    broken = [view for view in views if view not in told]
    if runs.are_one_chain(views):
        # One table: of the run that says most, or why there is none.
        told, broken = sorted(told, key=lambda view: runs.jobs_of(view)[0])[-1:], [] if told else broken[-1:]
    replays = [(view, replay_of(view)) for view in told]
    played = [(view, replay, shapes_of(replay, by_rule)) for view, replay in replays if replay is not None]
    return profile_text.render(views, advice, played, broken)
