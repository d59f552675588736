"""What the documentation says is there: pages, sections, flags, verbs and their options."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

import pages
from snakemake_executor_plugin_daskmpi.cli import program
from snakemake_executor_plugin_daskmpi.cli.commands import parted
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    from pathlib import Path

#: A newcomer reads it in five minutes.
MOST_LINES_OF_README = 250

FLAGS = {"--daskmpi-" + field.name.replace("_", "-") for field in dataclasses.fields(Settings)}
#: Verbs that pass on to Snakemake what they do not know.
PASS_ON = {"plan", "submit"}


def broken_links(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for link in pages.links(page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in pages.anchors(target.read_text())):
            found.append(link)
    return found


def flags_in(text: str) -> set[str]:
    """Return the flags of the plugin that a text mentions, as flags or as keys of a profile."""
    keys = re.findall(r"^#?daskmpi-[a-z-]*[a-z](?=:)", text, re.MULTILINE)
    return {*re.findall(r"--daskmpi-[a-z-]*[a-z]", text), *("--" + key.lstrip("#") for key in keys)}


def verbs_in(text: str) -> set[str]:
    """Return the verbs of ``snakemake-daskmpi`` that a text mentions."""
    return set(re.findall(r"snakemake-daskmpi\s+([a-z]+)", text))


def is_understood(words: list[str]) -> bool:
    """Say whether ``snakemake-daskmpi`` takes these arguments, without carrying them out."""
    ours, _ = parted(words)
    try:
        chosen, others = program._parser().parse_known_args(ours)
    except SystemExit:
        return False
    return chosen.verb in PASS_ON or not others


def test_the_readme_is_short():
    assert len(pages.README.read_text().splitlines()) < MOST_LINES_OF_README


def test_each_link_leads_somewhere():
    found = {str(page.relative_to(pages.PROJECT)): broken_links(page) for page in pages.PAGES}
    assert {page: links for page, links in found.items() if links} == {}


def test_each_page_is_in_both_lists_of_pages():
    # What Snakemake's plugin catalog shows is no page of its own.
    names = {page.name for page in pages.DOCS.glob("*.md")} - {"README.md"}
    assert names <= set(pages.links((pages.DOCS / "README.md").read_text()))
    listed = {link.removeprefix("docs/") for link in pages.links(pages.README.read_text())}
    assert names - {"intro.md", "further.md"} <= listed


def test_a_flag_that_is_mentioned_exists():
    found = {str(page.relative_to(pages.PROJECT)): flags_in(page.read_text()) - FLAGS for page in pages.PAGES}
    assert {page: flags for page, flags in found.items() if flags} == {}


def test_a_flag_that_exists_is_among_the_settings():
    assert FLAGS - flags_in((pages.DOCS / "settings.md").read_text()) == set()


def test_a_verb_that_is_mentioned_exists_and_each_verb_is_mentioned():
    mentioned = set[str]().union(*(verbs_in(page.read_text()) for page in pages.PAGES))
    assert mentioned == set(program._VERBS)


def test_a_command_of_the_docs_is_understood():
    found = [words for page in pages.PAGES for words in pages.commands(page.read_text(), program.PROGRAM)]
    assert len(found) > 20
    assert [words for words in found if words and not is_understood(words)] == []


def test_no_line_of_prose_is_too_long():
    lines = [
        (page.name, line)
        for page in pages.PAGES
        for line in pages.without_code(page.read_text()).splitlines()
        if len(line) > 120 and not line.startswith("|")
    ]
    assert lines == []


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("# A title\n[here](#a-title) [there](other.md) [far](https://x.y/z#a)", []),
        ("[there](other.md#a-flag---x-and-more) ![picture](p.png)", ["p.png"]),
        ("[there](other.md#no-such)", ["other.md#no-such"]),
        ("## Twice\n## Twice\n[one](#twice) [two](#twice-1) [three](#twice-2)", ["#twice-2"]),
        ("```sh\n# No title\n[a](b)\n```\n`[a](b)` [`code`](#no-title)", ["#no-title"]),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, text: str, broken: list[str]):
    (tmp_path / "other.md").write_text("## A flag: `--x`, and more\n")
    page = tmp_path / "page.md"
    page.write_text(text)
    assert broken_links(page) == broken


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("```sh\nsnakemake-daskmpi report RUN -o a.html && true  # why\n```", [True]),
        ("```console\n$ snakemake-daskmpi report --jsno - | jq\nsnakemake-daskmpi no\n```", [False]),
        ("`snakemake-daskmpi plan\n-k`, `snakemake-daskmpi explain`", [True, False]),
        ("```sh\nsnakemake-daskmpi advise \\\n  --output a\n```", [True]),
    ],
)
def test_a_command_is_found_and_judged(text: str, understood: list[bool]):
    assert [is_understood(words) for words in pages.commands(text, program.PROGRAM)] == understood
