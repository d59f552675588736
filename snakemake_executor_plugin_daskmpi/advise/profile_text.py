"""What a run teaches, as a profile for the next one: YAML, with a reason for each line.

Runs on: the login node, or a laptop. Pure.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.advise.runs import are_one_chain, jobs_of
from snakemake_executor_plugin_daskmpi.planning.table import grid
from snakemake_executor_plugin_daskmpi.planning.walltimes import walltime_for
from snakemake_executor_plugin_daskmpi.profile.profile import scalar
from snakemake_executor_plugin_daskmpi.record.liveness import life_of
from snakemake_executor_plugin_daskmpi.settings.durations import duration_text, render_walltime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.advise.advice import Advice, Value
    from snakemake_executor_plugin_daskmpi.advise.replay import Replay
    from snakemake_executor_plugin_daskmpi.advise.shapes import Shapes
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: Columns that comments fill; a wider table stays in one piece.
_WIDTH = 100
#: Parts by which a prediction may miss what happened before it is called off.
_OFF = 0.1


def render(
    views: Sequence[RunView],
    advice: Sequence[Advice],
    played: Sequence[tuple[RunView, Replay, Shapes | None]],
    broken: Sequence[RunView] = (),
) -> str:
    """Return the text of ``config.yaml``.

    Parameters
    ----------
    views
        The runs that the advice is from.
    played
        Those of them that could be played again, what they were, and what the next one comes to.
    broken
        Those of which too little is done for that.
    """
    sections = [
        "\n".join(_head(views)),
        *("\n".join(_outlook(*each)) for each in played),
        *("\n".join(_too_little(view)) for view in broken),
        "\n".join(_left_alone(advice)),
        "\n".join(_retries(advice)),
        "\n".join(_resources(advice)),
        "\n".join(_threads(advice)),
        # Snakemake takes no profile without a mapping.
        "{}" if all(each.is_empty for each in advice) else "",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _comment(text: str, indent: int = 0) -> Iterator[str]:
    lead = " " * indent + "# "
    yield from textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=lead + "  ")


def _head(views: Sequence[RunView]) -> Iterator[str]:
    yield from _comment("What the next run should ask for, written by 'snakemake-daskmpi advise'.")
    for view in views:
        done = sum(job.outcome == "ok" for job in view.jobs.values())
        yield from _comment(f"From the run {view.folder.name}: {done} job{'s' * (done != 1)} done.")
    if are_one_chain(views):
        yield from _comment(
            "They are one chain, as Slurm jobs went on by themselves. What is played again is the one in which most "
            "jobs were done."
        )
    yield from _comment(
        "It is taken by snakemake --profile FOLDER, beside the workflow's own profiles/default, or copied into that."
    )
    yield from _comment(
        "What a rule says by mem_mb_per_cpu, cpus_per_task or slurm_extra goes before what stands here."
    )


def _too_little(view: RunView) -> Iterator[str]:
    """Yield why there is no table for a run."""
    done, total = jobs_of(view)
    yield from _comment(
        f"The run {view.folder.name} {life_of(view).value} with {done} of {total} jobs done, fewer than half: how long "
        "all of it would take on other workers cannot be told, so there is no table for it."
    )


def _outlook(view: RunView, replay: Replay, shapes: Shapes | None) -> Iterator[str]:
    """Yield what the run took, what the simulation makes of it, and the next one in several shapes."""
    name = view.folder.name
    if shapes is None:
        yield from _comment(f"The run {name} cannot be played again: some of its jobs fit none of its workers.")
        return
    took, predicted = replay.took_min, shapes.as_it_was.makespan_min
    off = predicted / took - 1 if took else 0.0
    yield from _comment(
        f"The run {name} took {_took(took)} from its first job to the end of its last one; played again with the same "
        f"workers, requests and times it takes {_took(predicted)} ({off:+.0%})."
    )
    left_out = f"what Snakemake took to hand jobs over once they could start, {replay.handed_over_after_s:.2f} s in "
    yield from _comment(f"Left out: {left_out}the mean, and what sending them takes.")
    for sentence in replay.unlike:
        yield from _comment(f"Not in it: {sentence}.")
    if abs(off) > _OFF:
        yield from _comment("That is far off: take the table below as a comparison of its lines, not as times.")
    if replay.max_cores is not None:
        yield from _comment(f"All of it with --cores {replay.max_cores}, as that run had it.")
    best = shapes.best
    rows: list[tuple[object, ...]] = [("the next one", "workers", "takes", "core-hours", "cores busy", "")]
    before = shapes.as_it_was
    lines = [(before, before.name), *((shape, shape.name) for shape in shapes.advised)]
    for shape, label in lines:
        mark = "<- as soon with fewest cores" if shape is best else ""
        cells = (shape.workers_text, _took(shape.makespan_min), f"{shape.core_hours:.2f}", f"{shape.busy:.0%}", mark)
        rows.append((label, *cells))
    yield "#"
    yield from (f"#{line}" for line in grid(rows, left=(0, 1, 5)))
    if best is None:
        yield from _comment("With what its rules should ask for, none of these workers would be as soon.")
    else:
        walltime_min = walltime_for(best.makespan_min, replay.demand)
        yield "#"
        yield from _comment(f"For the next Slurm job, {best.workers_text}; 'snakemake-daskmpi plan' makes its own:")
        yield f"#daskmpi-max-workers: {len(best.workers)}"
        yield f'#daskmpi-walltime: "{render_walltime(walltime_min)}"'


def _took(minutes: float) -> str:
    """Return a duration with three digits that count, or so.

    >>> [_took(minutes) for minutes in (0.05, 6.2, 90)]
    ['3.0 s', '6.2 min', '1 h 30 min']
    """
    if minutes < 2:  # noqa: PLR2004
        return f"{minutes * 60:.1f} s"
    return f"{minutes:.1f} min" if minutes < 60 else duration_text(minutes)  # noqa: PLR2004


def _left_alone(advice: Sequence[Advice]) -> Iterator[str]:
    """Yield the rules for which nothing stands below, and why."""
    left = [each for each in advice if each.is_empty]
    if left:
        yield from _comment("Left as they are:")
    for each in left:
        yield from _comment(f"- {each.rule}: {'; '.join(each.remarks) or 'they ask for what they use'}.")


def _retries(advice: Sequence[Advice]) -> Iterator[str]:
    most = max((each.retries for each in advice), default=0)
    if most:
        rules = ", ".join(each.rule for each in advice if each.retries)
        yield from _comment(
            f"The largest jobs of {rules} need more memory than a first attempt gets: without this, they would fail. "
            "Rules that state their own 'retries' keep them."
        )
        yield f"retries: {most}"


def _resources(advice: Sequence[Advice]) -> Iterator[str]:
    changed = [each for each in advice if each.mem_mb or each.runtime_min]
    if changed:
        yield "set-resources:"
    for each in changed:
        yield f"  {_key(each.rule)}:"
        for remark in each.remarks:
            yield from _comment(f"Left: {remark}.", 4)
        for name, value in (("mem_mb", each.mem_mb), ("runtime", each.runtime_min)):
            if value is not None:
                yield from _line(name, value, 4)


def _threads(advice: Sequence[Advice]) -> Iterator[str]:
    changed = [each for each in advice if each.threads]
    if changed:
        yield "set-threads:"
    for each in changed:
        if each.threads:
            if not (each.mem_mb or each.runtime_min):
                for remark in each.remarks:
                    yield from _comment(f"Left: {remark}.", 2)
            yield from _line(_key(each.rule), each.threads, 2)


def _line(name: str, value: Value, indent: int) -> Iterator[str]:
    yield from _comment(f"{value.why}.", indent)
    written = value.written
    yield " " * indent + f"{name}: {json.dumps(written) if isinstance(written, str) else written}"


def _key(rule: str) -> str:
    return rule if re.fullmatch(r"[A-Za-z_]\w*", rule) and scalar(rule) == rule else json.dumps(rule)
