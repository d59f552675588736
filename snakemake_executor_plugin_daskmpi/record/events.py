r"""What happens in a run, as lines of its record: ``<run>/events.jsonl``.

Runs on: rank 1 (written by ``client.recorder``), and wherever somebody looks at a run (read by :mod:`follower`).

Each line is one event, a JSON object with ``event``, one of :class:`Kind`, and ``time``, in seconds since the epoch on
rank 1's clock. Memory is in MB of 10⁶ bytes as Snakemake has it, everything that ends in ``_s`` in seconds. What a
reader does not know it skips: new fields and new kinds of events may be added. What exists keeps its meaning as long as
:data:`VERSION` stays.

======================  ==========================================================================================
``run``                 the first line: ``version``, ``run_id``, ``first_run`` (the id of the run that Slurm jobs have
                        gone on with since, requeued or submitted by each other; its own if it is that),
                        ``command``, ``workdir``, ``host``, ``pid``, ``description`` of the world, ``slurm_job`` and
                        ``slurm_cluster`` ("" outside of one), ``max_cores`` (``--cores``, or null)
``jobs``                how many jobs the DAG has by rule: ``by_rule``, without those that Snakemake runs itself on rank
                        1 (``localrules``), of which nothing is recorded; again when a checkpoint has changed it;
                        ``patterns``: by rule, what its files are called, with wildcards in braces
``deadline``            ``ends_at``, ``drains_at``, ``said_by``
``worker``              a worker has joined: ``worker``, ``host``, ``het_group``, ``cores``, ``mem_mb``, ``disk_mb``,
                        ``gpus``, ``components``; ``allocation``, Slurm's id of the further allocation that it has
                        joined with, and ``ends_at`` if that ends before the run's own
``allocation``          how far a further Slurm job is: ``allocation``, Slurm's id; ``phase`` (queued, started, joined,
                        ended); ``workers``, ``cores``, ``mem_mb`` and ``gpus`` of each; ``partition``,
                        ``walltime_min``, ``why``
``worker-lost``         ``worker``, ``comes_back``; ``waits``: jobs that had been sent there, and wait again
``worker-left``         ``worker``, ``why``: it had nothing to do any more, or its time was over
``submitted``           Snakemake has handed a job over: ``job`` (unique, one for each attempt), ``name`` (as messages
                        have it), ``rule``, ``jobid``, ``attempt``, ``outputs``, ``needs`` (``jobid`` of the jobs that
                        it comes after), ``asks`` (:class:`JobResources` without its defaults), ``wish``: of that, what
                        its rule asks more of, and limits or workers leave less (or the group's jobs take turns);
                        ``priority``, ``n_behind``; ``members`` of a group by rule, and their ids, ``member_ids``;
                        ``again_of``, if it waits again since its worker's time was over: the ``job`` that was ended
``local``               a job that Snakemake runs itself on rank 1, and that a job comes after that it has handed over:
                        ``jobid``, ``rule``, ``needs``; once, before the first such job. When it runs is not recorded
``started``             ``job``, ``worker``, ``cores`` and ``gpus`` that are its own; ``after`` if it waits there for
                        another one to end: when it starts, only ``ended`` tells
``ended``               ``job``, ``outcome``, ``worker``, ``started_at``, ``ended_at``, ``exit_code``, ``signal``,
                        ``reason``, ``peak_rss_mb``, ``peak_pss_mb``, ``cpu_s``, ``log`` (if it is not in the place
                        that :mod:`job_log` names); what is not known is left out
``rejected``            Snakemake takes a ``job`` for failed whose body ended well: its output is missing, for instance
``waiting``             why jobs wait, whenever that changes: ``reasons``, see :class:`Reason`
``set-aside``           ``jobs`` that do not start in this run, and ``why``
``drain``               nothing starts any more: ``why``
``end``                 the last line: ``done`` and ``total`` jobs, ``failed``; ``is_interrupted`` by Ctrl-C, a signal
                        or an error of Snakemake's; missing if the run broke off
======================  ==========================================================================================
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

#: Of the format.
VERSION = 1
#: Below the folder of a run.
FILE_NAME = "events.jsonl"
#: Of jobs that have what another one needs.
MOST_HOLDERS = 8


class Kind(StrEnum):
    """What happens."""

    RUN = "run"
    JOBS = "jobs"
    DEADLINE = "deadline"
    WORKER = "worker"
    WORKER_LOST = "worker-lost"
    WORKER_LEFT = "worker-left"
    ALLOCATION = "allocation"
    SUBMITTED = "submitted"
    LOCAL = "local"
    STARTED = "started"
    ENDED = "ended"
    REJECTED = "rejected"
    WAITING = "waiting"
    SET_ASIDE = "set-aside"
    DRAIN = "drain"
    END = "end"


class Cause(StrEnum):
    """Why jobs wait, in a word."""

    CORES = "cores"
    MEMORY = "memory"
    DISK = "disk"
    GPUS = "gpus"
    #: Each resource is free on some worker, and all of them on none.
    TOGETHER = "together"
    #: They would fit, but what is free is held back for a job that has waited for long.
    RESERVED = "reserved"
    #: They fit, and start at once.
    TURN = "turn"
    #: ``--cores`` lets no more start.
    LIMIT = "limit"
    #: No worker that is there could hold them, and one is awaited that could.
    AWAITED = "awaited"


class Reason(NamedTuple):
    """Why jobs that ask for the same wait."""

    cause: Cause
    #: What they ask for, see :class:`JobResources`, without its defaults.
    asks: dict[str, Any]
    priority: int
    n_jobs: int
    #: For people: what is free, and who has the rest.
    text: str
    #: One of the jobs, by its key.
    example: str
    #: The worker that comes nearest, "" if none is in question.
    worker: str = ""
    #: Those that have the rest, by key, at most :data:`MOST_HOLDERS`; or the one that it is held back for.
    holders: tuple[str, ...] = ()

    @classmethod
    def read(cls, written: dict[str, Any]) -> Reason:
        """Return a reason as a record has it; a cause that a later version knows is :attr:`Cause.TURN`."""
        known = {name: written[name] for name in cls._fields if name in written}
        cause = Cause(written["cause"]) if written["cause"] in set(Cause) else Cause.TURN
        return cls(**known | {"cause": cause, "holders": tuple(written.get("holders", ()))})
