"""Names and texts that others have chosen, as a terminal may show them.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from snakemake_executor_plugin_daskmpi.errors import printable


def plain(text: object) -> str:
    r"""Return a text on one line, with all that is no printable character spelled out.

    Besides what a terminal obeys these are halves of characters, as in names of files that are no UTF-8, and what turns
    the direction of writing.

    >>> print(plain("a\nb\x1b]0;title\x07 \udc80\u202e"))
    a\nb\x1b]0;title\x07 \udc80\u202e
    """
    spelled = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in printable(str(text)))
    return "".join(spelled)
