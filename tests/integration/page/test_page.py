"""The page of a report, in a real browser."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import zlib

import pytest

from browser import Browser
from looks import LOOKS, look_at
from records import START, Record
from runs import wait_until
from simulation import simulate
from snakemake_executor_plugin_daskmpi import cli
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.report.page import render_page, script_json
from snakemake_executor_plugin_daskmpi.report.plots import IDLE_COLOURS, PALETTE

#: What somebody may call a rule who wants to do harm; each of these would change the title.
HOSTILE = (
    "</script><script>document.title='hacked'</script>",
    "<img src=x onerror=document.title='hacked'>",
    '"><svg onload="document.title=\'hacked\'">',
    "{{ 7*7 }}{% raw %}${document.title='hacked'}%{x}@name @{name}{safe}",
    "<!--<script>",
    "$$\\int$$",
    "a\x00b\x1b[31mc\u2028d\u202ee\udc80",
)
#: Of the plots, as pixels have them.
COLOURS = [bytes.fromhex(colour[1:]) for colour in (*PALETTE, *IDLE_COLOURS.values())]
N_PLOTS = 4
#: What loads something from elsewhere.
_LOADS = re.compile(r"""(?:\s(?:src|href)\s*=\s*["']?|url\(\s*["']?|@import\s+["']?)(?:https?:)?//""")
#: What the tooltips of Bokeh say, which are below shadow roots.
_TIPS = """(async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const texts = [];
  const look = (node) => {
    if (node.shadowRoot) look(node.shadowRoot);
    for (const child of node.children ?? []) {
      if (child.classList.contains("bk-Tooltip")) texts.push((child.shadowRoot ?? child).textContent);
      look(child);
    }
  };
  look(document.body);
  return texts;
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of 10,000 jobs."""
    workdir = tmp_path_factory.mktemp("simulated")
    simulate(Record(workdir, "2026-01-01T1"), 10_000, ("align", "sort", "call", *HOSTILE))
    assert cli.main(["report", "-d", str(workdir)]) == 0
    yield workdir / "daskmpi-report.html"
    shutil.rmtree(workdir)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield browser
    finally:
        browser.close()


def test_the_page_of_ten_thousand_jobs_is_small_and_loads_nothing(page):
    assert page.stat().st_size < 5_000_000
    text = page.read_text(encoding="utf-8")
    assert _LOADS.search(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)) is None
    assert "default-src 'none'" in html.unescape(text)
    assert "are left out" not in text


def test_it_opens_within_two_seconds(page, browser):
    # Of the page's own process, which is there then: what else this machine does meanwhile does not count.
    browser.open(page)
    browser.ask("Performance.enable", timeDomain="threadTicks")
    begun_s = cpu_s(browser)
    browser.open(page)
    assert cpu_s(browser) - begun_s < 2


def cpu_s(browser):
    """The CPU time of the page's process."""
    metrics = browser.ask("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "ProcessTime")


@pytest.mark.parametrize("look", LOOKS)
def test_it_looks_as_it_should_on_all_screens(page, browser, look):
    look_at(browser, page, "report-10000-jobs", look)
    assert browser.value("document.querySelectorAll('.plot .bk-Figure').length") == N_PLOTS
    # Its plots have the colour of the text around them.
    ink = browser.value("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()")
    assert ink == {"light": "#1b1f24", "dark": "#e6e9ed"}[LOOKS[look].scheme]
    axes = browser.value("Bokeh.documents[0].roots().map(plot => plot.below[0].major_label_text_color)")
    assert axes == [ink] * len(axes)


def pictures_in(pdf):
    """The pixels of the pictures of a PDF, of three bytes each."""
    for found in re.finditer(rb"/Subtype /Image[^>]*/ColorSpace \[[^>]*/Length (\d+)>>\s*?stream\r?\n", pdf):
        yield zlib.decompress(pdf[found.end() : found.end() + int(found[1])])


def test_on_paper_it_is_black_on_white_whatever_the_screen_is_and_then_as_before(page, browser):
    browser.open(page, prefers_color_scheme="dark")
    colours = "[...new Set(Bokeh.documents[0].roots().map(plot => plot.below[0].major_label_text_color))].join()"
    browser.value("addEventListener('beforeprint', () => { window.printed = %s; })" % colours)  # noqa: UP031 - braces
    pdf = base64.b64decode(browser.ask("Page.printToPDF")["data"])
    assert len([pixels for pixels in pictures_in(pdf) if any(colour * 10 in pixels for colour in COLOURS)]) == N_PLOTS
    assert browser.value("window.printed") == "#000000"
    assert float(browser.value("document.documentElement.style.getPropertyValue('--shrink')")) < 1
    wait_until(lambda: browser.value(colours) == "#e6e9ed", on_timeout=lambda: browser.value(colours))
    assert browser.errors == []
    # A browser would make a page that is wider than A4 smaller.
    browser.ask("Emulation.setDeviceMetricsOverride", width=718, height=1000, deviceScaleFactor=1, mobile=False)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.value("document.documentElement.scrollWidth") <= 718
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value("getComputedStyle(document.querySelector('.zoom')).display") == "none"
    browser.ask("Emulation.setEmulatedMedia", media="", features=[])


def test_names_are_text_whatever_they_say(page, browser):
    browser.open(page)
    assert browser.value("document.title") == "Report of run 2026-01-01T1"
    shown = browser.value("[...document.querySelectorAll('tbody th')].map(cell => cell.textContent)")
    for name in HOSTILE[:-1]:
        assert name in shown
    assert "a\\x00bc\\u2028d\\u202ee\\udc80" in shown


def tips(browser, plot, share):
    """What a plot says when one points at its middle, at a share of its width in percent."""
    where = browser.value(
        f"(() => {{ const box = document.getElementById('{plot}').getBoundingClientRect();"
        f"return {{x: box.left + box.width * {share} / 100, y: box.top + box.height * 0.45}}; }})()"
    )
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", **where)
    return browser.value(_TIPS)


def test_names_are_text_in_what_a_bar_says_when_pointed_at(page, browser):
    browser.open(page, prefers_reduced_motion="reduce")
    browser.value("document.getElementById('run-1-timeline-plot').scrollIntoView()")
    # From the first rule's bars to the last one's.
    said = [tip for share in range(8, 80, 4) for tip in tips(browser, "run-1-timeline-plot", share)]
    for name in HOSTILE[:4]:
        assert any(f"rule {name} (jobid" in tip for tip in said), said
    assert browser.value("document.title") == "Report of run 2026-01-01T1"
    assert browser.errors == []


def test_why_cores_idled_is_told_when_pointed_at(page, browser):
    browser.open(page, prefers_reduced_motion="reduce")
    browser.value("document.getElementById('run-1-idle-plot').scrollIntoView()")
    # When the last jobs end, nearly all of them idle.
    (said,) = tips(browser, "run-1-idle-plot", 95)
    assert re.search(r"no ready job: ?2\d\d", said), said


def test_all_plots_follow_the_buttons_which_the_keyboard_reaches(page, browser):
    browser.open(page)
    width = "Bokeh.documents[0].roots().map(plot => Math.round(plot.x_range.end - plot.x_range.start))"
    whole = browser.value(width)
    browser.value("document.querySelector('button[data-run]').focus()")
    browser.ask(
        "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
    )
    browser.ask("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    assert browser.value(width) == pytest.approx([each / 2 for each in whole], abs=1)
    browser.value("document.querySelector('button[data-run]:not([data-from])').click()")
    assert browser.value(width) == whole


def test_several_runs_are_on_one_page_whatever_became_of_them(tmp_path, browser):
    folders = []
    for name, ends in (("2026-01-01T1", True), ("2026-01-02T1", False)):
        record = Record(tmp_path, name)
        record.note("jobs", by_rule={"r": 2})
        record.worker(gpus=["0"])
        record.job("r", 1, 4, jobid=1)
        record.submitted("runs")
        record.started("runs", at=2, cores=[1])
        if ends:
            record.end(10)
        folders.append(record.silent_for(3600).folder)
    empty = Record(tmp_path, "2026-01-03T1")
    folders.append(empty.silent_for(3600).folder)
    histories = [history_of(folder, START + 10**9) for folder in folders]
    page = tmp_path / "page.html"
    page.write_text(render_page(histories, [figures_of(history) for history in histories]), encoding="utf-8")
    browser.open(page)
    assert browser.errors == []
    headings = browser.value(
        "[...document.querySelectorAll('h2')].map(h => h.textContent.replace(/\\s+/g, ' ').trim())"
    )
    assert headings == [
        "All runs",
        "Run 2026-01-01T1: ended, with jobs left",
        "Run 2026-01-02T1: broke off",
        "Run 2026-01-03T1: broke off",
    ]


def page_text(record):
    """The words of a page, without its scripts."""
    history = history_of(record.folder, START + 10**9)
    page = render_page([history], [figures_of(history)])
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", shown)).split())


def test_a_worker_that_has_left_is_told_of_as_such_and_not_as_lost(tmp_path):
    record = Record(tmp_path)
    record.note("jobs", by_rule={"r": 1})
    record.worker()
    record.worker("rank 45.0", allocation="45")
    record.job("r", 0, 5)
    record.note("worker-left", 5, worker="rank 45.0", why="nothing is left for it")
    record.end(10)
    text = page_text(record)
    assert "Workers 2 0 lost" in text
    assert re.search(r"rank 45\.0 node1 4 .* left at [^a-z]+ 0 0 % Failed", text)
    assert "lost at" not in text


def test_one_job_on_one_worker_is_told_in_the_singular(tmp_path):
    record = Record(tmp_path)
    record.note("jobs", by_rule={"r": 1})
    record.worker()
    record.job("r", 0, 5, outcome="lost")
    record.job("r", 5, 4, jobid=1, attempt=2)
    record.end(10)
    text = page_text(record)
    assert "1 job done, 0 failed, on 1 worker in 10 s" in text
    assert "One job took 9 s, 90 % of the makespan: without making this one faster" in text
    assert "1 retry, 1 lost with a worker" in text
    assert re.search(r"\b1 (jobs|workers|retries|lines|bars)\b", text) is None


def test_a_group_has_a_row_beside_those_of_its_rules_and_a_colour_of_its_own(tmp_path):
    record = Record(tmp_path)
    record.note("jobs", by_rule={"a": 2})
    record.worker()
    record.job("a", 0, 5, jobid="g", members={"a": 2}, peak_rss_mb=50)
    record.end(10)
    text = page_text(record)
    assert "a (group) in their rules 1 - - ≤ 50 MB ≤ 50 MB" in text
    assert "a 2 2 0 0 0 - -" in text
    assert "2 jobs done" in text


def test_json_in_a_script_has_no_markup_and_is_still_the_same():
    text = script_json(HOSTILE)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == list(HOSTILE)
