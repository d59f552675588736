"""Following a Slurm job from the login node: its story by seconds, with a Slurm and a clock that the test sets.

What the job writes is a real file, and the record of the submission is a real one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.rank import graces
from snakemake_executor_plugin_daskmpi.slurm.controller import Answer
from snakemake_executor_plugin_daskmpi.slurm.submission import follow, next_job, record
from snakemake_executor_plugin_daskmpi.slurm.submission.output import Output
from snakemake_executor_plugin_daskmpi.slurm.submission.signals import WISHES, Left, Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERRUPT, CANCEL = ["scancel", "--signal=INT", "7"], ["scancel", "7"]
AWAY = "slurm_load_jobs error: Unable to contact slurm controller"
REFUSED = "slurm_load_jobs error: Protocol authentication error"
#: Seconds that one of Slurm's programs takes to find that the controller does not answer.
SILENCE_S = 10.0
#: Seconds after which a test has waited for too long.
FOR_EVER_S = 1000.0


class Site:
    """A login node, and the Slurm behind it that knows of job 7."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, printed: pytest.CaptureFixture[str]) -> None:
        self.workdir, self.patch, self.printed = folder, patch, printed
        self.now = 0.0
        self.events: list[tuple[float, Callable[[], Any]]] = []
        #: When squeue was asked for the job, and what scancel was told.
        self.looks: list[float] = []
        self.orders: list[list[str]] = []
        #: The job in the queue, "" if squeue does not know it, and what scontrol and sacct say.
        self.queued = "PENDING"
        self.reason = "Resources"
        self.ended_as = ""
        self.history = ""
        self.is_silent = False
        #: What all of Slurm's programs say in place of an answer, at once.
        self.refusal = ""
        #: What comes of an order, and after how many seconds.
        self.consequences: list[tuple[list[str], float, tuple[Callable[[], Any], ...]]] = []
        #: What happens while Slurm is asked how the job ended.
        self.on_inquiry: Callable[[], Any] = lambda: None
        self.submission = self.submitted("7")
        record.save(self.submission)

    def submitted(self, job_id: str) -> record.Record:
        new = record.new_record(self.workdir, ["snakemake"], folder=str(folder_of(self.workdir, job_id)))
        Path(new.folder).mkdir(parents=True)
        return dataclasses.replace(new, job_id=job_id)

    def follow(self, *, tail: bool = False) -> int:
        """Follow the job to the end of the story."""
        output = Output(Path(self.submission.folder) / record.OUTPUT)
        follower = follow.Follower(self.submission, output, self.answer, lambda: self.now, self.sleep)
        try:
            return follower.follow(tail=tail)
        except WISHES as wish:
            # KeyboardInterrupt would end all tests.
            raise AssertionError("a signal has ended it") from wish

    def told(self) -> list[str]:
        """Return what stands on the terminal, after the line that names the output's file."""
        return self.printed.readouterr().err.splitlines()[1:]

    def sits(self, answer: str | type[BaseException]) -> None:
        """Have somebody sit at the terminal, who answers."""
        self.patch.setattr(sys, "stdin", Keyboard(answer))
        self.patch.setattr(sys.stderr, "isatty", lambda: True)

    # -- what happens, and when ------------------------------------------------------------------

    def at(self, second: float, *events: Callable[[], Any]) -> None:
        self.events += [(second, event) for event in events]

    def sleep(self, seconds: float) -> None:
        """Let time pass, with what happens in it; a signal cuts it short."""
        until = self.now + seconds
        assert until < FOR_EVER_S, "it waits for ever"
        for due in sorted((event for event in self.events if event[0] <= until), key=lambda event: event[0]):
            self.events.remove(due)
            self.now = max(self.now, due[0])
            due[1]()
        self.now = until

    def comes_of(self, order: list[str], *events: Callable[[], Any], after_s: float) -> None:
        self.consequences.append((order, after_s, events))

    def runs(self) -> None:
        self.queued = "RUNNING"

    def writes(self, text: str, job_id: str = "7") -> Callable[[], Any]:
        def write() -> None:
            with (folder_of(self.workdir, job_id) / record.OUTPUT).open("a") as file:
                file.write(text)

        return write

    def exits(self, code: int, job_id: str = "7") -> Callable[[], Any]:
        return lambda: (folder_of(self.workdir, job_id) / record.EXIT_CODE).write_text(f"{code}\n")

    def ends(self, state: str, by: str = "", code: str = "0:0") -> Callable[[], None]:
        """Have Slurm know of an end."""

        def end() -> None:
            self.queued, self.ended_as = state, f"JobId=7 JobState={state} Reason=x ExitCode={code}"
            self.history = f"{state}{by and f' by {by}'}|{code}"

        return end

    def falls_silent(self) -> None:
        self.is_silent = True

    def answers_again(self) -> None:
        self.is_silent = False

    # -- Slurm's programs --------------------------------------------------------------------------

    def answer(self, command: list[str]) -> Answer:
        program, *arguments = command
        if program == "squeue" and "--states=all" in arguments:
            self.looks.append(self.now)
        if self.is_silent:
            self.sleep(SILENCE_S)
            return Answer(tuple(command), 1, "", AWAY)
        if program == "scancel":
            self.orders.append(command)
        if self.refusal:
            return Answer(tuple(command), 1, "", self.refusal)
        if program == "scancel":
            for after_s, events in (later for order, *later in self.consequences if order == command):
                self.at(self.now + after_s, *events)
            return Answer(tuple(command), 0, "", "")
        if program == "squeue":
            return self.said(command, self.queue_line(arguments) if "--states=all" in arguments else "")
        self.on_inquiry()
        return self.said(command, self.ended_as if program == "scontrol" else self.history)

    @staticmethod
    def said(command: list[str], text: str) -> Answer:
        return Answer(tuple(command), 0 if text else 1, text, "" if text else "Invalid job id specified")

    def queue_line(self, arguments: list[str]) -> str:
        job_id = next(argument.removeprefix("--jobs=") for argument in arguments if argument.startswith("--jobs="))
        fields = (job_id, self.queued, self.reason, "N/A", "main", "5", "n1" if self.queued == "RUNNING" else "")
        return "\x1f".join(fields) + "\n" if self.queued else ""

    @property
    def is_on_record(self) -> bool:
        """Whether the working directory still counts as having a job."""
        return record.read(self.workdir) is not None


def folder_of(workdir: Path, job_id: str) -> Path:
    return record.home_of(workdir) / "submissions" / job_id


def sends(wish: type[BaseException]) -> Callable[[], None]:
    """Have a signal come, as :func:`signals.listen` makes it an exception."""

    def send() -> None:
        raise wish

    return send


class Keyboard:
    """A terminal's, at which somebody types an answer, presses Ctrl-C or is cut off."""

    def __init__(self, answer: str | type[BaseException]) -> None:
        self.answer = answer

    @staticmethod
    def isatty() -> bool:
        return True

    def readline(self) -> str:
        if isinstance(self.answer, str):
            return self.answer
        raise self.answer


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    # Where the output is, is told from here.
    monkeypatch.chdir(tmp_path)
    return Site(tmp_path, monkeypatch, capsys)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Have stderr be a pipe whose reader is gone."""

    @contextlib.contextmanager
    def be() -> Iterator[None]:
        reader, writer = os.pipe()
        os.close(reader)
        gone = open(writer, "w")  # noqa: SIM115 - closing it fails
        try:
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stderr", gone)
                yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                gone.close()

    return be


# -- a job's way through the queue ---------------------------------------------------------------------


def test_why_a_job_waits_that_it_runs_and_what_it_writes_is_told_once_each(site):
    site.at(20, lambda: setattr(site, "reason", "JobHeldUser"))
    site.at(40, site.runs)
    site.at(60, site.writes("1 of 1 steps done\n"), site.exits(0))
    assert site.follow() == 0
    assert site.told() == [
        "daskmpi: Slurm job 7 waits in partition main: the nodes it needs are busy.",
        "daskmpi: Slurm job 7 waits in partition main: it is held; 'scontrol release' lets it go.",
        "daskmpi: Slurm job 7 runs on n1; its output follows.",
        "1 of 1 steps done",
    ]
    assert not site.is_on_record


def test_slurm_is_asked_ever_more_rarely_while_it_waits_and_steadily_while_it_runs(site):
    site.at(90, site.runs)
    site.at(125, site.exits(0))
    site.follow()
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(site.looks)]
    waiting = pauses[: pauses.index(15)]
    assert waiting == sorted(waiting)
    assert waiting[0] < 3
    assert pauses[-2:] == [8, 8]


def test_a_job_that_begins_to_write_is_looked_for_at_once(site):
    site.at(50, site.runs, site.writes("Building DAG\n"))
    site.at(51, site.exits(0))
    site.follow()
    assert site.told()[-2:] == ["Building DAG", "daskmpi: Slurm job 7 runs on n1; its output follows."]
    assert site.looks[-1] < 51


def test_who_comes_later_sees_the_end_of_what_was_written(site):
    site.runs()
    site.writes("early\n" * 5000)()
    site.at(5, site.writes("late\n"))
    site.at(6, site.exits(0))
    site.follow(tail=True)
    lines = site.told()
    assert lines[-1] == "late"
    assert 100 < lines.count("early") < 2000


# -- a controller that is silent -----------------------------------------------------------------------


def test_a_silent_controller_is_told_once_asked_seldom_and_its_return_is_told(site):
    site.at(10, site.falls_silent)
    for second in range(30, 60):
        site.at(second, site.writes("."))
    site.at(75, site.runs, site.answers_again)
    site.at(115, site.exits(0))
    assert site.follow() == 0
    assert site.told() == [
        "daskmpi: Slurm job 7 waits in partition main: the nodes it needs are busy.",
        f"daskmpi: Slurm's controller does not answer ({AWAY}); the job may go on, and this goes on looking.",
        "." * 30 + "daskmpi: Slurm's controller answers again.",
        "daskmpi: Slurm job 7 runs on n1; its output follows.",
    ]
    pauses = [later - earlier for earlier, later in itertools.pairwise(look for look in site.looks if 10 < look < 75)]
    assert pauses
    assert min(pauses) > 30


def test_a_job_ends_by_its_exit_code_although_slurm_is_silent(site):
    site.runs()
    site.at(10, site.falls_silent)
    site.at(30, site.writes("an error\n"), site.exits(3))
    assert site.follow() == 3
    path = os.path.relpath(folder_of(site.workdir, "7") / record.OUTPUT)
    assert site.told()[-2:] == [
        "an error",
        f"daskmpi: Slurm job 7 ended with exit code 3; all that it wrote is in {path}.",
    ]


def test_a_refusal_is_no_end_of_a_job(site):
    site.runs()
    site.at(20, lambda: setattr(site, "refusal", REFUSED))
    site.at(60, lambda: setattr(site, "refusal", ""))
    site.at(80, site.exits(0))
    assert site.follow() == 0
    assert f"does not answer ({REFUSED})" in site.told()[1]
    assert site.now >= 80


def test_a_job_that_only_the_accounting_knows_and_as_running_is_no_success(site):
    site.runs()
    site.history = "RUNNING|0:0"
    site.at(20, lambda: setattr(site, "queued", ""))
    assert site.follow() == 1
    assert site.told()[1] == "Slurm job 7 is gone, and nobody knows how it ended."


# -- the end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "written", "code", "happened"),
    [
        ({"state": "TIMEOUT", "code": "0:15"}, None, 143, "it reached its walltime"),
        ({"state": "OUT_OF_MEMORY", "code": "0:125"}, 2, 2, "it used more memory than it has"),
        ({"state": "NODE_FAIL"}, 0, 1, "a node failed"),
        ({"state": "CANCELLED", "by": "ada"}, None, 1, "it was cancelled by ada"),
    ],
)
def test_an_early_end_is_explained_and_never_a_success(site, end, written, code, happened):
    site.runs()
    site.at(20, site.ends(**end))
    if written is not None:
        # Shown late by a shared file system.
        site.on_inquiry = site.exits(written)
    assert site.follow() == code
    said = site.told()
    assert said[1] == f"Slurm job 7 ended early: {happened}."
    assert said[-1].startswith("  Next: ")
    assert not site.is_on_record


def test_a_job_that_nobody_knows_any_more_is_said_to_be_gone(site):
    site.runs()
    site.at(20, lambda: setattr(site, "queued", ""))
    assert site.follow() == 1
    assert site.told()[1] == "Slurm job 7 is gone, and nobody knows how it ended."
    assert not site.is_on_record


def test_slurm_is_asked_how_it_ended_until_that_is_final(site):
    site.runs()
    site.at(20, site.ends("COMPLETING"), site.exits(1))
    site.at(25, site.ends("OUT_OF_MEMORY"))
    assert site.follow() == 1
    assert "it used more memory than it has" in site.told()[1]


def test_an_end_that_does_not_get_final_is_not_waited_for_for_ever(site):
    site.runs()
    site.at(20, site.ends("COMPLETING"), site.exits(1))
    assert site.follow() == 1
    assert 30 < site.now < 40


@pytest.mark.parametrize(("written", "code"), [(4, 4), (None, 9)])
def test_an_exit_code_that_is_shown_late_counts_and_slurms_where_there_is_none(site, written, code):
    site.runs()
    site.at(20, site.ends("FAILED", code="9:0"))
    if written is not None:
        site.on_inquiry = site.exits(written)
    assert site.follow() == code
    assert site.told()[-1].startswith(f"daskmpi: Slurm job 7 ended with exit code {code}; ")


def test_a_job_whose_time_was_over_is_followed_by_the_one_that_goes_on(site):
    later = dataclasses.replace(site.submitted("8"), follows=site.submission.folder)
    site.runs()
    site.at(20, lambda: next_job.note_successor(later), site.exits(os.EX_TEMPFAIL))
    site.at(30, site.writes("the rest\n", "8"), site.exits(0, "8"))
    assert site.follow() == 0
    lines = site.told()
    assert lines[1] == "daskmpi: Slurm job 7 has ended, its time was over; job 8 goes on."
    assert lines[3:] == ["daskmpi: Slurm job 8 runs on n1; its output follows.", "the rest"]


def test_a_job_from_which_none_goes_on_has_its_own_exit_code(site):
    site.runs()
    site.at(20, site.ends("FAILED"), site.exits(os.EX_TEMPFAIL))
    assert site.follow() == os.EX_TEMPFAIL


# -- leaving it ----------------------------------------------------------------------------------------


def test_detaching_prints_the_id_alone_on_stdout(site, capsys):
    assert follow.follow(site.submission, detach=True) == 0
    said = capsys.readouterr()
    assert said.out == "7\n"
    assert said.err == "daskmpi: Slurm job 7 is submitted; 'snakemake-daskmpi follow' shows its output.\n"
    assert site.is_on_record


def test_there_must_be_a_job_to_follow(tmp_path):
    with pytest.raises(
        LaunchError, match=r"\n  Next: snakemake --executor daskmpi --daskmpi-launcher sbatch … submits"
    ):
        follow.attach(tmp_path)


@pytest.mark.parametrize(
    ("wish", "answer", "code"),
    [(KeyboardInterrupt, "n\n", 0), (KeyboardInterrupt, "No\n", 0), (KeyboardInterrupt, Left, 129), (Left, "y\n", 129)],
)
def test_a_no_and_a_terminal_that_goes_leave_it_alone(site, wish, answer, code):
    site.sits(answer)
    site.at(20, sends(wish))
    assert site.follow() == code
    assert site.told()[-1].endswith(
        "daskmpi: Slurm job 7 goes on without this terminal; 'snakemake-daskmpi follow' shows its output."
    )
    assert site.orders == []
    assert site.is_on_record


def test_a_job_whose_output_nobody_reads_any_more_is_left_alone(site, unread):
    site.at(20, site.writes("a step is done\n"))
    with unread():
        assert site.follow() == 129
    assert site.orders == []
    assert site.is_on_record


# -- cancelling it -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "answer", "code"),
    [
        (KeyboardInterrupt, "\n", 130),
        (KeyboardInterrupt, KeyboardInterrupt, 130),
        (KeyboardInterrupt, Terminated, 130),
        (KeyboardInterrupt, None, 130),
        (Terminated, "n\n", 143),
    ],
)
def test_a_yes_a_second_signal_and_nobody_to_ask_cancel_it(site, wish, answer, code):
    if answer is not None:
        site.sits(answer)
    site.at(20, sends(wish))
    site.comes_of(CANCEL, site.ends("CANCELLED"), after_s=1)
    assert site.follow() == code
    assert site.orders == [CANCEL]
    lines = site.told()
    asked = "Cancel Slurm job 7? [Y/n: leave it running] " if wish is KeyboardInterrupt and answer is not None else ""
    assert lines[-2:] == [f"{asked}daskmpi: cancelling Slurm job 7.", "daskmpi: Slurm job 7 is cancelled."]
    assert not site.is_on_record


def test_a_job_that_runs_is_ended_in_order(site):
    site.runs()
    site.at(20, sends(KeyboardInterrupt))
    site.comes_of(INTERRUPT, site.writes("the lock is gone\n"), site.exits(1), site.ends("FAILED"), after_s=5)
    assert site.follow() == 130
    assert site.orders == [INTERRUPT]
    assert site.told()[-3:] == [
        "daskmpi: cancelling Slurm job 7.",
        "the lock is gone",
        "daskmpi: Slurm job 7 is cancelled.",
    ]


@pytest.mark.parametrize("is_hurried", [False, True])
def test_one_that_does_not_end_in_order_is_cancelled_after_its_grace_or_one_more_ctrl_c(site, is_hurried):
    site.runs()
    site.at(20, sends(KeyboardInterrupt))
    if is_hurried:
        site.at(23, sends(KeyboardInterrupt))
    site.comes_of(CANCEL, site.ends("CANCELLED"), after_s=1)
    assert site.follow() == 130
    assert site.orders == [INTERRUPT, CANCEL]
    assert (site.now < 20 + graces.ALLOCATION_S) == is_hurried


def test_one_that_is_cancelled_while_nobody_reads_is_seen_to_its_end(site, unread):
    site.runs()
    site.at(20, sends(Terminated))
    site.at(21, site.writes("a step is done\n"))
    site.comes_of(CANCEL, site.ends("CANCELLED"), after_s=1)
    with unread():
        assert site.follow() == 143
    assert not site.is_on_record


def test_one_that_does_not_go_is_given_up_with_a_next_step(site):
    site.at(20, sends(KeyboardInterrupt))
    assert site.follow() == 130
    assert site.told()[-1].endswith("may still be there: Slurm did not say that it ended. Next: scancel 7")
    assert site.is_on_record
    assert site.now >= 20 + graces.QUEUE_S


@pytest.mark.parametrize("refusal", [REFUSED, AWAY])
def test_one_of_which_nothing_is_heard_is_not_said_to_be_cancelled(site, refusal):
    site.at(20, lambda: setattr(site, "refusal", refusal), sends(KeyboardInterrupt))
    assert site.follow() == 130
    assert site.told()[-1].endswith("may still be there: Slurm did not say that it ended. Next: scancel 7")
    assert site.is_on_record
    assert len(site.orders) < 10 * graces.QUEUE_S, "Slurm is given time"


def test_a_further_ctrl_c_at_any_time_leaves_no_job_running(site, monkeypatch):
    def interrupted(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(next_job, "stop_chain", interrupted)
    site.at(20, sends(KeyboardInterrupt))
    site.comes_of(CANCEL, site.ends("CANCELLED"), after_s=1)
    assert site.follow() == 130
    assert site.orders == [CANCEL]


def test_a_silent_controller_is_told_to_cancel_until_it_answers(site):
    site.at(20, site.falls_silent)
    site.at(25, sends(KeyboardInterrupt))
    site.at(60, site.answers_again)
    site.comes_of(CANCEL, site.ends("CANCELLED"), after_s=1)
    assert site.follow() == 130
    assert site.orders == [CANCEL]
    assert not site.is_on_record


def test_the_one_that_it_has_submitted_in_its_place_is_cancelled_too(site):
    later = dataclasses.replace(site.submitted("8"), follows=site.submission.folder)
    site.at(20, sends(KeyboardInterrupt))
    site.comes_of(CANCEL, site.ends("CANCELLED"), lambda: next_job.note_successor(later), after_s=1)
    assert site.follow() == 130
    assert site.orders == [CANCEL, ["scancel", "8"]]
    assert next_job.is_stopped(site.submission.folder)
