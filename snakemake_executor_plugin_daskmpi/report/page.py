"""The page of a report: one file that needs no network.

Runs on: wherever somebody asks for a report, if Bokeh is installed.

Names of rules and wildcards are whatever somebody has typed. Into the page they come as text that Jinja escapes, or as
JSON in which nothing ends a script. Beyond that, the page's own policy (CSP) has the browser run these scripts only
whose hashes it names, and load nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.resources
import json
import time
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.report import plots, wording
from snakemake_executor_plugin_daskmpi.report.idle import Idle
from snakemake_executor_plugin_daskmpi.report.lanes import MOST_CHARACTERS, lanes_of
from snakemake_executor_plugin_daskmpi.report.summaries import summaries_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.report.figures import RunFigures
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory

_PACKAGE = "snakemake-executor-plugin-daskmpi"
#: Rows of a table that is for people; JSON and CSV have all.
MOST_ROWS = 200


def render_page(histories: Sequence[RunHistory], figures: Sequence[RunFigures]) -> str:
    """Return the page of some runs."""
    import jinja2
    from bokeh.resources import Resources
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever is written was somebody's text; markup that is ours is marked as such.
        finalize=lambda value: wording.clean(value) if type(value) is str else value,
    )
    names = ("duration", "core_hours", "percent", "memory", "energy", "number", "counted", "clock", "zone")
    environment.filters.update({name: getattr(wording, name) for name in names})
    lanes = [lanes_of(history, MOST_CHARACTERS // len(histories)) for history in histories]
    drawn = [plots.plots_of(*run) for run in zip(figures, lanes, strict=True)]
    scripts = [Resources(mode="inline", components=["bokeh"], minified=True).js_raw[0], _file("page.js")]
    return environment.get_template("page.html.jinja").render(
        runs=[
            {
                "figures": each,
                "plots": list(plot),
                "colours": plots.colours_of(each),
                "lines": {
                    name: list(zip(lines, plots.PALETTE, plots.DASHES, strict=False))
                    for name, lines in plots.lines_of(each).items()
                },
                "texts": summaries_of(each),
                "n_left_out": its.n_left_out,
            }
            for each, plot, its in zip(figures, drawn, lanes, strict=True)
        ],
        policy=policy_of(scripts),
        style=Markup(_file("page.css")),  # noqa: S704 - ours
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - ours and Bokeh's
        documents=Markup(script_json(documents_of(drawn))),  # noqa: S704 - what ends a script is escaped
        written_at=time.time(),
        version=importlib.metadata.version(_PACKAGE),
        idle_colours={reason.value: colour for reason, colour in plots.IDLE_COLOURS.items()},
        Idle=Idle,
        most_rows=MOST_ROWS,
    )


def documents_of(drawn: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return Bokeh's documents, one for each run, and which of their plots goes to which element of the page."""
    from bokeh.document import Document

    documents, items = {}, []
    for number, named in enumerate(drawn, start=1):
        if not named:
            continue
        document = Document()
        for plot in named.values():
            document.add_root(plot)
        roots = {plot.id: f"run-{number}-{name}-plot" for name, plot in named.items()}
        documents[f"run-{number}"] = document.to_json(deferred=False)
        items.append({"docid": f"run-{number}", "roots": roots, "root_ids": list(roots)})
    return {"documents": documents, "items": items}


def script_json(value: object) -> str:
    r"""Return JSON that can stand in a script element: nothing in it is markup, or ends a line.

    >>> print(script_json("</script>&\u2028"))
    "\u003c/script\u003e\u0026\u2028"
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def policy_of(scripts: Sequence[str]) -> str:
    """Return the policy that has a browser run these scripts alone, and load nothing.

    >>> policy_of([""])[:44]
    "default-src 'none'; script-src 'sha256-47DEQ"
    """
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    sources = " ".join(f"'sha256-{value}'" for value in hashes)
    # Bokeh makes style elements, and icons of data.
    own = "style-src 'unsafe-inline'; img-src data: blob:"
    return f"default-src 'none'; script-src {sources}; {own}; base-uri 'none'; form-action 'none'"


def _file(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
