"""The page of a report for those who use a keyboard or a screen reader: in a real browser, and by axe's rules."""

from __future__ import annotations

import importlib.resources
import itertools

import pytest

from browser import Browser
from looks import LOOKS
from records import Record
from snakemake_executor_plugin_daskmpi import cli

#: What has the focus, also inside of Bokeh's elements: whether it had it before, whether one sees that it has it, and
#: where it is.
_FOCUSED = """(() => {
  let part = document.activeElement;
  while (part.shadowRoot?.activeElement) part = part.shadowRoot.activeElement;
  const style = getComputedStyle(part), box = part.getBoundingClientRect();
  window.visited ??= new Set();
  const again = visited.has(part);
  visited.add(part);
  return {
    what: part.outerHTML.slice(0, 80),
    again,
    isBody: part === document.body,
    isSeen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 && box.width > 0,
    isOnScreen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    top: Math.round(box.top + scrollY),
  };
})()"""
_NOT_VISITED = """
  [...document.querySelectorAll('a[href], button, summary, [tabindex="0"]')]
  .filter((part) => !visited.has(part)).map((part) => part.outerHTML.slice(0, 80))
"""
#: What axe says is wrong, and where.
_VIOLATIONS = """axe.run(document, {resultTypes: ["violations"]}).then((found) =>
  found.violations.map((each) => [each.id, each.help, each.nodes.map((node) => node.html.slice(0, 200))]))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of two runs, of which one has had all that a page can tell."""
    workdir = tmp_path_factory.mktemp("runs")
    for name in ("2026-01-01T1", "2026-01-02T1"):
        record = Record(workdir, name)
        record.note("jobs", by_rule={"align": 3, "sort": 2})
        record.worker(gpus=["0"], het_group=1, components=["gpu"])
        record.worker(het_group=2, components=[""])
        record.job("align", asks={"cores": 2, "mem_mb": 100, "runtime_min": 3}, peak_pss_mb=200, cpu_s=12)
        record.job("align", outcome="lost", reason="the worker died", worker="rank 3")
        record.note("worker-lost", 10, worker="rank 3", comes_back=True, waits=[])
        record.job("align", 10, jobid=2, attempt=2, submitted_at=5)
        record.job("sort", 20, needs=[1, 2], members={"sort": 2})
        record.note("drain", 30, why="the end of the allocation is near")
        record.end(35)
    page = workdir / "page.html"
    assert cli.main(["report", "-d", str(workdir), "2026-01-01T1", "2026-01-02T1", "-o", str(page)]) == 0
    return page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield browser
    finally:
        browser.close()


def press(browser, key, code):
    browser.ask("Input.dispatchKeyEvent", type="rawKeyDown", key=key, code=key, windowsVirtualKeyCode=code)
    if key == "Enter":
        browser.ask("Input.dispatchKeyEvent", type="char", key=key, text="\r")
    browser.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)


def tab(browser):
    """Press the key that moves the focus, and return what has it then."""
    press(browser, "Tab", 9)
    return browser.value(_FOCUSED)


@pytest.mark.parametrize("look", LOOKS)
def test_axe_has_nothing_to_say_of_headings_landmarks_names_tables_or_contrast(page, browser, look):
    width, height, scheme = LOOKS[look]
    browser.open(page, width, height, prefers_color_scheme=scheme)
    axe = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    browser.value(f"{axe}; 0")
    assert browser.value(_VIOLATIONS) == []


def test_all_that_can_be_used_is_reached_by_keyboard_in_its_order_and_one_sees_where_one_is(page, browser):
    # A page that scrolls smoothly is still on its way when one looks.
    browser.open(page, prefers_reduced_motion="reduce")
    stops = []
    while not (stop := tab(browser))["isBody"]:
        assert not stop["again"], "the focus goes in circles"
        stops.append(stop)
    assert browser.value(_NOT_VISITED) == []
    assert [stop["what"] for stop in stops if not (stop["isSeen"] and stop["isOnScreen"])] == []
    # Plots and their tools lie beside each other.
    tops = [stop["top"] for stop in stops[1:]]
    assert all(after >= before - 20 for before, after in itertools.pairwise(tops)), stops


def test_the_first_stop_leads_past_all_that_comes_before_the_content(page, browser):
    browser.open(page, prefers_reduced_motion="reduce")
    first = tab(browser)
    assert "To the content" in first["what"]
    assert first["isOnScreen"]
    press(browser, "Enter", 13)
    assert browser.value("location.hash") == "#content"
    assert browser.value("Math.round(document.getElementById('content').getBoundingClientRect().top)") <= 0


def test_a_screen_reader_has_a_name_for_each_table_plot_and_part(page, browser):
    browser.open(page)
    nodes = [node for node in browser.ask("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    wanted = {"table", "region", "navigation", "group", "figure", "button", "link", "heading"}
    assert wanted <= {role for role, _ in named}
    assert [role for role, name in named if role in wanted and not name] == []
    tables = browser.value("document.querySelectorAll('table').length")
    assert tables == sum(role == "table" for role, _ in named)
