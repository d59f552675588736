"""A file that others read while it is written is whole, or as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.rank import whole_file

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_replaced_and_nothing_lies_beside_it(tmp_path: Path):
    file = tmp_path / "it"
    file.write_text("before")
    whole_file.write(file, "after")
    assert file.read_text() == "after"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_it_as_it_was(tmp_path: Path):
    file = tmp_path / "it"
    file.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        whole_file.write(file, "\ud800")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
