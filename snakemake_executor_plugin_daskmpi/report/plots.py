"""The plots of a report, drawn by Bokeh in the browser.

Runs on: wherever somebody asks for a report, if Bokeh is installed (``pip install
'snakemake-executor-plugin-daskmpi[report]'``).

Bokeh, since its script is 1.3 MB, where Plotly's Python package brings 4.8 MB and Vega needs a program of 30 MB to be
put into a page; and since it draws on a canvas, which shows 10,000 bars as fast as ten. Nothing that a user has named
is a template or HTML for it: names are values of columns, which Bokeh writes as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.run_view import State
from snakemake_executor_plugin_daskmpi.report import wording
from snakemake_executor_plugin_daskmpi.report.idle import Idle
from snakemake_executor_plugin_daskmpi.report.rules import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.report.figures import RunFigures, Series
    from snakemake_executor_plugin_daskmpi.report.lanes import Lanes

#: Told apart with every kind of colour vision (Okabe and Ito), on white and on black; then those of Tableau.
PALETTE = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a800", "#7f7fc4"),
    *("#76b7b2", "#9c755f", "#ff9da7", "#59a14f", "#b07aa1", "#edc948", "#4e79a7", "#8c8c8c"),
)
#: Colours of :class:`Idle`, in its order.
IDLE_COLOURS = {Idle.NO_JOB: "#56b4e9", Idle.TOO_LARGE: "#e69f00", Idle.STARTING: "#cc79a7", Idle.DRAIN: "#8c8c8c"}
#: Of a hover: longer names are cut.
_LONGEST_NAME = 120
_CLOCK = "%H:%M:%S"
#: Of what has the focus, as the page has it.
_TOOLBAR_STYLE = """
@media print { :host { visibility: hidden; } }
:focus-visible { outline: 3px solid var(--link); }
"""
#: Of lines: what tells them apart without their colours.
DASHES = ("solid", "dashed", "dotted")
_SIDES = {side: side for side in ("left", "right", "top", "bottom")}


@dataclass(slots=True)
class _Times:
    """The axis of time of all plots of a run."""

    #: Of this machine's clock at the run's start, to UTC, which Bokeh shows.
    offset_s: float
    #: Bokeh's range, which all plots share.
    shown: Any = None

    def ms(self, at: float) -> int:
        """Return a time as Bokeh has it."""
        return round((at + self.offset_s) * 1000)


def colours_of(figures: RunFigures) -> dict[str, str]:
    """Return the colour of each rule or group; those that used most have colours that no other rule has."""
    return {rule.label: PALETTE[index % len(PALETTE)] for index, rule in enumerate(figures.rules)}


def plots_of(figures: RunFigures, lanes: Lanes) -> dict[str, Any]:
    """Return Bokeh's figures of a run, whose axes of time are one, by name; none of what there is nothing to draw."""
    from bokeh.models import Range1d

    offset = wording.local(figures.started_at).utcoffset()
    times = _Times(offset.total_seconds() if offset else 0.0)
    begin, end = times.ms(figures.started_at), times.ms(max(figures.until, figures.started_at + 1))
    margin = (end - begin) / 100
    times.shown = Range1d(begin - margin, end + margin, bounds=(begin - 5 * margin, end + 5 * margin))
    series, lines = figures.series, lines_of(figures)
    plots = {
        "timeline": _timeline(lanes, figures, times),
        "use": _lines(times, series, "in use (%)", lines["use"], most=102),
        "queue": _lines(times, series, "jobs", lines["queue"]),
        "idle": _areas(times, series),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def _figure(times: _Times, label: str, height: int, tools: str = "xpan,xbox_zoom,xwheel_zoom,reset,save") -> Any:
    """Return an empty plot over time. Its colours of text and lines are the page's, which its script sets."""
    from bokeh.models import DatetimeTickFormatter, NoOverlap
    from bokeh.plotting import figure

    plot = figure(
        x_axis_type="datetime",
        x_range=times.shown,
        height=height,
        sizing_mode="stretch_width",
        tools=tools,
        active_drag="xbox_zoom",
        active_scroll=None,
        toolbar_location="above",
        y_axis_label=label,
        # As much as most labels need, so that a time is at the same place in all plots.
        min_border_left=64,
        min_border_right=20,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = False
    plot.toolbar.stylesheets = [_TOOLBAR_STYLE]
    plot.xgrid.grid_line_color = None
    plot.axis.major_label_policy = NoOverlap()
    clock = {"seconds": _CLOCK, "minsec": _CLOCK, "minutes": "%H:%M", "hourmin": "%H:%M", "hours": "%H:%M"}
    plot.xaxis.formatter = DatetimeTickFormatter(milliseconds="%H:%M:%S.%3N", days="%b %d", **clock)
    return plot


def _timeline(lanes: Lanes, figures: RunFigures, times: _Times) -> Any:
    from bokeh.models import FixedTicker, HoverTool, LinearColorMapper, Range1d

    if not lanes.bars:
        return None
    plot = _figure(times, "", 90 + min(max(9 * lanes.n_lanes, 160), 900))
    plot.y_range = Range1d(lanes.n_lanes + 0.5, -0.5)
    centres = [block.top + (1 + len(block.cores)) / 2 for block in lanes.blocks]
    plot.yaxis.ticker = FixedTicker(ticks=centres, minor_ticks=[])
    plot.yaxis.major_label_overrides = {
        centre: plain(block.worker) for centre, block in zip(centres, lanes.blocks, strict=True)
    }
    plot.ygrid.ticker = FixedTicker(ticks=[block.top + 0.5 for block in lanes.blocks])
    away = _absences(lanes, figures, times)
    plot.quad(source=away, **_SIDES, fill_color=None, line_color=None, hatch_pattern="/", name="away")
    columns = _bar_columns(lanes, figures, times)
    colours = list(colours_of(figures).values()) or [PALETTE[0]]
    mapper = LinearColorMapper(palette=colours, low=-0.5, high=len(colours) - 0.5)
    fill = {"field": "rule", "transform": mapper}
    bars = plot.quad(source=columns, **_SIDES, fill_color=fill, line_color=None)
    of_chain = {key for link in figures.chain for key in link.keys}
    _outline(plot, columns, [bar.job.key in of_chain for bar in lanes.bars], line_width=3, name="chain")
    # On top: a job that did not end well may be of the longest chain, too.
    _outline(plot, columns, [bar.job.state is State.FAILED for bar in lanes.bars], line_width=2, name="failed")
    clock = f"{{{_CLOCK}}}"
    tips = [("", "@name"), ("on", "@place"), ("outcome", "@outcome"), ("time", f"@left{clock} to @right{clock}")]
    as_time = {"@left": "datetime", "@right": "datetime"}
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, formatters=as_time, point_policy="follow_mouse"))
    return plot


def _outline(plot: Any, columns: dict[str, list[Any]], which: list[bool], **style: Any) -> None:
    """Draw the edges of some bars."""
    source = {side: [value for value, is_one in zip(columns[side], which, strict=True) if is_one] for side in _SIDES}
    plot.quad(source=source, **_SIDES, fill_color=None, **style)


def _absences(lanes: Lanes, figures: RunFigures, times: _Times) -> dict[str, list[float]]:
    """Return the sides of the boxes in which a worker is not there: not yet, lost, left, or not back yet."""
    boxes: dict[str, list[float]] = {side: [] for side in _SIDES}
    for block in lanes.blocks:
        lives = [worker for worker in figures.workers if worker.name == block.worker]
        gone = (worker.left_at if worker.lost_at is None else worker.lost_at for worker in lives)
        begins = [figures.started_at, *(at for at in gone if at is not None)]
        for begin, end in zip(begins, [*(worker.joined_at for worker in lives), figures.until], strict=False):
            sides = (times.ms(begin), times.ms(end), block.top + 0.5, block.top + len(block.cores) + 1.5)
            for side, value in zip(_SIDES, sides, strict=True):
                boxes[side].append(value)
    return boxes


def plain(text: str) -> str:
    """Return text of an axis, in which Bokeh would take what stands between dollars for a formula."""
    return wording.clean(text).replace("$", "\uff04")


def _bar_columns(lanes: Lanes, figures: RunFigures, times: _Times) -> dict[str, list[Any]]:
    """Return the columns of the bars: sides, the number of the rule, and what a hover says; each of them many times."""
    number = {rule.label: index for index, rule in enumerate(figures.rules)}
    columns: dict[str, list[Any]] = {name: [] for name in (*_SIDES, "rule", "name", "place", "outcome")}
    for job, begin, end, top, bottom in lanes.bars:
        name = wording.clean(job.name)
        cores = " ".join(map(str, job.cores))
        row = (
            *(
                times.ms(begin),
                times.ms(end),
                top + 0.08,
                bottom - 0.08,
                number[label_of(job.rule, is_group=bool(job.members))],
            ),
            name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]} …",
            f"{wording.clean(job.worker)}, core {cores}" if cores else wording.clean(job.worker),
            job.outcome or job.state.value,
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def lines_of(figures: RunFigures) -> dict[str, dict[str, Sequence[float]]]:
    """Return the lines of the plots of lines, by their names; their colours are those of the palette in its order."""
    series = figures.series
    return {"use": _shares(series), "queue": {"running": series.jobs_running, "waiting": series.jobs_waiting}}


def _shares(series: Series) -> dict[str, Sequence[float]]:
    """Return what was given to jobs, in percent of what workers offered."""
    pairs = {
        "cores": (series.cores_granted, series.cores_offered),
        "memory (asked for)": (series.mem_granted_mb, series.mem_offered_mb),
        "GPUs": (series.gpus_granted, series.gpus_offered),
    }
    return {
        name: [round(100 * part / whole, 2) if whole else 0.0 for part, whole in zip(given, all_, strict=True)]
        for name, (given, all_) in pairs.items()
        if any(all_)
    }


def _lines(
    times: _Times, series: Series, label: str, lines: Mapping[str, Sequence[float]], most: float | None = None
) -> Any:
    """Return a plot of lines that stay level over each bin, up to what is the most; the page has their legend."""
    from bokeh.models import HoverTool

    if not any(map(any, lines.values())):
        return None
    plot = _figure(times, label, 240)
    source = _columns(times, series, lines)
    drawn = [
        plot.step(x="x", y=name, source=source, mode="after", color=colour, line_width=2, line_dash=dash)
        for name, colour, dash in zip(lines, PALETTE, DASHES, strict=False)
    ]
    plot.y_range.start = 0
    if most is not None:
        plot.y_range.end = most
    tips = [("time", f"@x{{{_CLOCK}}}"), *((name, f"@{{{name}}}{{0,0.[0]}}") for name in lines)]
    plot.add_tools(HoverTool(renderers=drawn[:1], tooltips=tips, formatters={"@x": "datetime"}, mode="vline"))
    return plot


def _areas(times: _Times, series: Series) -> Any:
    """Return a plot of idle cores by reason, on top of each other."""
    from bokeh.models import HoverTool

    values = {reason.value: series.idle[reason.value] for reason in Idle if any(series.idle[reason.value])}
    if not values:
        return None
    plot = _figure(times, "idle cores", 260)
    source = _columns(times, series, values)
    colours = [IDLE_COLOURS[reason] for reason in Idle if reason.value in values]
    width = 1000 * series.bin_s
    source["middle"] = [x + width / 2 for x in source["x"]]
    edges = [*source["x"], source["x"][-1] + width]
    top = [0.0] * len(edges)
    # The table below is its legend, which is too long for a phone.
    for colour, column in zip(colours, values.values(), strict=True):
        below, top = top, [low + more for low, more in zip(top, [*column, column[-1]], strict=True)]
        plot.varea_step(x=edges, y1=below, y2=top, step_mode="after", fill_color=colour)
    # Areas, since bars that are narrower than a pixel are pale; but only bars can be pointed at.
    source["top"] = top[:-1]
    drawn = [plot.vbar(x="middle", top="top", width=width, source=source, fill_alpha=0, line_color=None)]
    plot.y_range.start = 0
    tips = [("time", f"@x{{{_CLOCK}}}"), *((name, f"@{{{name}}}{{0,0.[0]}}") for name in values)]
    plot.add_tools(HoverTool(renderers=drawn, tooltips=tips, formatters={"@x": "datetime"}))
    return plot


def _columns(times: _Times, series: Series, values: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    x: list[float] = [times.ms(series.begin + index * series.bin_s) for index in range(len(series.cores_offered))]
    return {"x": x, **{name: list(column) for name, column in values.items()}}
