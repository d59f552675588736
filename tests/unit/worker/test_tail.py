"""The runner's view of a job's log: its end, however long or broken it is."""

from __future__ import annotations

from snakemake_executor_plugin_daskmpi.worker.tail import tail_of


def test_a_log_that_is_not_there_has_no_end(tmp_path):
    assert tail_of(tmp_path / "none.log") == ""


def test_an_empty_log_has_no_end(tmp_path):
    log = tmp_path / "job.log"
    log.touch()
    assert tail_of(log) == ""


def test_a_short_log_is_shown_whole_without_the_blank_lines_at_its_end(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("one\n\n  two\n\n\n")
    assert tail_of(log) == "one\n\n  two"


def test_of_a_long_log_the_last_twenty_lines_are_shown(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("".join(f"line {n}\n" for n in range(1000)))
    assert tail_of(log).splitlines() == [f"line {n}" for n in range(980, 1000)]


def test_of_an_endless_line_the_last_8_kib_are_shown(tmp_path):
    log = tmp_path / "job.log"
    log.write_bytes(b"x" * 10**6 + b"!\n")
    assert tail_of(log) == "x" * 8190 + "!"


def test_bytes_that_are_no_text_do_no_harm(tmp_path):
    log = tmp_path / "job.log"
    log.write_bytes(b"before \xff\xfe after\n")
    assert tail_of(log) == "before \ufffd\ufffd after"
