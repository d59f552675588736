"""Pictures of a report's page on a screen, on a phone and in the dark, and what can be seen to be wrong in one.

Runs on: the machine of the tests, with Chromium.

They go to the folder that the environment variable ``DASKMPI_PICTURES`` names, for people to look at; without it they
lie beside the page.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from browser import Browser
from snakemake_executor_plugin_daskmpi.report.plots import IDLE_COLOURS, PALETTE

#: Of a page, in bytes.
_LARGEST = 5_000_000
#: All that plots draw with, as pixels have it.
_OWN = {tuple(bytes.fromhex(colour[1:])) for colour in (*PALETTE, *IDLE_COLOURS.values())}
#: Of any text, in pixels.
_SMALLEST_TEXT = 12
#: That have to have a colour of a plot, for it to be more than axes: a line of two pixels, a tenth of a phone wide.
_FEWEST_PIXELS = 40


class Look(NamedTuple):
    """What a page is looked at on."""

    width: int
    height: int
    scheme: str = "light"


LOOKS = {"desktop": Look(1280, 900), "phone": Look(390, 844), "dark": Look(1280, 900, "dark")}

#: What is shown beyond the right edge, but for what scrolls within the page.
_BEYOND = """
  [...document.body.querySelectorAll("*")]
  .filter((part) => !part.closest(".table, .skip") && part.getBoundingClientRect().right > innerWidth + 1)
  .map((part) => part.outerHTML.slice(0, 200))
"""
#: What is wider than the box that it is in.
_OVERFLOWING = """
  [...document.body.querySelectorAll("p, h1, h2, h3, li, dt, dd, dd small, button, figcaption")]
  .filter((part) => part.clientWidth && part.scrollWidth > part.clientWidth + 1)
  .map((part) => part.outerHTML.slice(0, 200))
"""
_TINY = """
  [...document.body.querySelectorAll(":not(sup, script, style)")]
  .filter((part) => [...part.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()))
  .filter((part) => parseFloat(getComputedStyle(part).fontSize) < %s)
  .map((part) => part.outerHTML.slice(0, 200))
"""
#: By the ids of plots: where each is, and the colours that must be seen there: of a timeline those of the two rules
#: that used most, since jobs of others may be shorter than a pixel; of others any one of its own.
_PLOTS = """
  Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) => {
    const box = plot.getBoundingClientRect();
    const legend = plot.id.endsWith("-timeline-plot") ? plot.closest("figure").previousElementSibling : null;
    const swatches = [...legend?.querySelectorAll(".swatch[style]") ?? []].slice(0, 2);
    return [plot.id, {
      box: [box.left + scrollX, box.top + scrollY, box.right + scrollX, box.bottom + scrollY],
      colours: swatches.map((swatch) => getComputedStyle(swatch).backgroundColor.match(/\\d+/g).map(Number)),
    }];
  }))
"""


def look_at_all(page: Path, name: str, folder: Path) -> None:
    """Take pictures of a page in all looks, as ``name-look.png``; ``folder`` is for the browser."""
    browser = Browser(folder)
    try:
        for look in LOOKS:
            look_at(browser, page, name, look)
    finally:
        browser.close()


def look_at(browser: Browser, page: Path, name: str, look: str) -> None:
    """Take a picture of a page, and assert that nothing is wrong that can be seen in it.

    That it is not too large, has no errors, loads nothing from elsewhere, is no wider than the screen, has no text that
    is cut off or tiny, and that its plots are drawn.
    """
    width, height, scheme = LOOKS[look]
    browser.open(page, width, height, prefers_color_scheme=scheme)
    folder = Path(os.environ.get("DASKMPI_PICTURES") or page.parent)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{name}-{look}.png"
    browser.screenshot(picture)
    size = page.stat().st_size
    faults = {
        "size": size if size > _LARGEST else 0,
        "errors": browser.errors,
        "loaded": [url for url in browser.addresses if not url.startswith(("file:", "data:", "blob:"))],
        "wider than the screen": max(0, browser.value("document.documentElement.scrollWidth") - width),
        "beyond the right edge": browser.value(_BEYOND),
        "wider than its box": browser.value(_OVERFLOWING),
        "tiny": browser.value(_TINY % _SMALLEST_TEXT),
        "not drawn": _not_drawn(picture, browser.value(_PLOTS)),
    }
    assert not (seen := {fault: what for fault, what in faults.items() if what}), f"{picture}: {seen}"


def _not_drawn(picture: Path, plots: dict[str, Any]) -> list[str]:
    """Return the plots in a picture that lack their colours."""
    from PIL import Image

    missing = [] if plots else ["any plot"]
    with Image.open(picture) as image:
        for name, plot in plots.items():
            part = image.convert("RGB").crop(tuple(map(round, plot["box"])))
            seen = {colour for n, colour in part.getcolors(part.width * part.height) if n >= _FEWEST_PIXELS}
            wanted = set(map(tuple, plot["colours"]))
            if not wanted <= seen or not (wanted or _OWN & seen):
                missing.append(name)
    return missing
