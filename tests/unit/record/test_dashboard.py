"""The file that says where a run's dashboard is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.record.dashboard import FILE_NAME, Address, read, write

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = Address("node-17.cluster", 41213, "0123456789abcdef")


def test_what_is_written_is_read_and_is_its_users_alone(tmp_path: Path):
    before = os.umask(0)
    try:
        path = write(tmp_path, ADDRESS)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(tmp_path) == ADDRESS
    assert path.read_text().splitlines()[2] == "ssh -L 41213:127.0.0.1:41213 node-17.cluster"


def test_a_file_that_somebody_has_put_there_is_not_written_to(tmp_path: Path):
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write(tmp_path, ADDRESS)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("damage", [("127.0.0.1", "evil"), ("status", "x"), ("node-17", "a\x1b[2Jb"), ("ssh -L", "rm")])
def test_a_file_that_says_something_else_says_nothing(tmp_path: Path, damage: tuple[str, str]):
    path = write(tmp_path, ADDRESS)
    path.write_text(path.read_text().replace(*damage))
    assert read(tmp_path) is None


def test_a_file_that_is_not_there_or_cannot_be_read_says_nothing(tmp_path: Path):
    assert read(tmp_path) is None
    (tmp_path / FILE_NAME).mkdir()
    assert read(tmp_path) is None
    (tmp_path / FILE_NAME).rmdir()
    (tmp_path / FILE_NAME).write_bytes(b"\xff")
    assert read(tmp_path) is None
