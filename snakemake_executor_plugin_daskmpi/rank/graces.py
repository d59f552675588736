"""How long each part of a run waits, at its end, for the part inside it. The end of a run, as a table.

Runs on: every rank, and the login node.

From the inside out, each defined by what it waits for:

======================  =======================================================================================
:data:`PROGRAMS_S`      a body lets its programs end on SIGTERM
:data:`BODY_S`          a worker lets a body do that, then sends SIGKILL
:data:`WORKER_S`        a worker ends all of its bodies
:data:`CANCEL_S`        rank 1 has all workers do that, when the run is cancelled
:data:`RANK_S`          a rank ends by itself when the scheduler has; its forkserver kills what is left
:data:`WORLD_S`         rank 1 has the scheduler, and through it all ranks, end
:data:`ALLOCATION_S`    a run ends in order, before its allocation does or when it is told to from outside
:data:`QUEUE_S`         a Slurm job that was cancelled leaves the queue
======================  =======================================================================================
"""

from __future__ import annotations

#: Programs of a body, from SIGTERM on.
PROGRAMS_S = 2.5
#: A body, from SIGTERM on, until SIGKILL: its programs, and what it has to do itself.
BODY_S = PROGRAMS_S + 0.5
#: A process that SIGKILL does not end: it waits for a dead file system, perhaps, and is given up.
UNKILLABLE_S = 5.0
#: All bodies of a worker: until SIGKILL, and then once more so long.
WORKER_S = 2 * BODY_S
#: All workers, with the way there and back.
CANCEL_S = WORKER_S + 2.0
#: The same, for a user who has pressed Ctrl-C again.
HURRY_S = 1.0
#: A worker that Dask has given up: what it has said may be on its way.
LAST_WORDS_S = 1.0
#: A rank whose scheduler has ended, or whose client is gone, by itself.
BY_ITSELF_S = 3.0
#: A rank with a forkserver that kills what is left: then it is killed.
RANK_S = BY_ITSELF_S + UNKILLABLE_S + 2.0
#: All ranks, over the network.
WORLD_S = RANK_S + 5.0
#: A worker that comes later, until its scheduler takes it: nobody may be there any more.
MEETS_S = 30.0
#: A run that is told to end: its jobs, its world, and a shared file system that takes its time.
ALLOCATION_S = CANCEL_S + WORLD_S + 7.0
#: Slurm's own KillWait (30 s by default) between SIGTERM and SIGKILL, and its epilogs.
QUEUE_S = ALLOCATION_S + 10.0
