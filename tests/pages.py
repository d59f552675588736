"""The pages of the documentation, in parts: headings, links, and the code that readers copy.

Runs on: the machine of the tests.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent
README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
#: All that a reader may open.
PAGES = (README, *sorted(DOCS.glob("*.md")), PROJECT / "example-workflow" / "README.md")

#: What ends a command on a line of shell.
_SEPARATORS = {"&&", "||", "|", ";", ">", "&"}


@dataclass(frozen=True, slots=True)
class Block:
    """Code between two lines of backticks, and the heading that it stands under."""

    section: str
    language: str
    text: str

    @property
    def command_lines(self) -> list[str]:
        """Its lines of shell without the prompt, each with what a backslash continues; none of other languages."""
        if self.language not in ("sh", "console"):
            return []
        whole = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            whole = [line.removeprefix("$ ") for line in whole if line.startswith("$ ")]
        return [line for line in whole if line.strip()]


def blocks(text: str) -> list[Block]:
    """Return the code of a page; that of a list may be indented."""
    found, section, language, lines = [], "", None, list[str]()
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            if language is None:
                language, lines = line.strip().removeprefix("```"), []
            else:
                found.append(Block(section, language, "\n".join(lines)))
                language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            section = line.lstrip("# ")
    return found


def without_code(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return what links into a page can name, as GitHub makes it of the headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", without_code(text), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(anchor if not seen[anchor] else f"{anchor}-{seen[anchor]}")
        seen[anchor] += 1
    return found


def links(text: str) -> list[str]:
    """Return where links and pictures of a page lead to, those outside of the project left out."""
    # Code between single backticks looks like a link now and then; what a link shows may be such code.
    prose = re.sub(r"`[^`]*`", "code", without_code(text))
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def commands(text: str, program: str) -> list[list[str]]:
    """Return the arguments of each call of a program, in blocks of code and between single backticks."""
    lines = [line for block in blocks(text) for line in block.command_lines]
    lines += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_code(text))]
    found = []
    for line in lines:
        if program not in line:
            continue
        words = shlex.split(line, comments=True)
        for at, word in enumerate(words):
            if word == program:
                end = next((n for n in range(at, len(words)) if words[n] in _SEPARATORS), len(words))
                found.append(words[at + 1 : end])
    return found
