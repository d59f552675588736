"""What a Slurm for tests is made of: its nodes, its partitions, and the files that say so.

Runs on: the machine of the tests. Pure.
Called by: slurm_cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Nodes that are alike, named by a letter and a number from 1."""

    letter: str
    count: int
    cpus: int
    mem_mb: int
    features: str = ""
    #: Number of GPUs. Slurm takes any device for one, and hands out the number in its name.
    gpus: int = 0

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return [f"{self.letter}{n}" for n in range(1, self.count + 1)]


@dataclass(frozen=True, slots=True)
class Queue:
    """A partition."""

    name: str
    #: Kinds of nodes, by their letters.
    letters: str
    options: str = ""


KINDS = (
    NodeKind("n", 4, cpus=8, mem_mb=16384, features="lab,small"),
    NodeKind("b", 1, cpus=16, mem_mb=65536, features="lab,bigmem"),
    NodeKind("g", 1, cpus=8, mem_mb=32768, features="lab,a100", gpus=2),
)
QUEUES = (
    Queue("main", "n", "Default=YES MaxTime=INFINITE"),
    Queue("big", "b", "MaxTime=2-00:00:00"),
    Queue("gpu", "g", "MaxTime=1-00:00:00"),
    Queue("short", "n", "MaxTime=00:15:00"),
    # Whole nodes only.
    Queue("whole", "n", "MaxTime=INFINITE OverSubscribe=EXCLUSIVE"),
)
GPU_MODEL = "a100"

#: What every such cluster has. Memory is handed out, not enforced.
_CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
# Nodes may claim more than the machine has.
SlurmdParameters=config_overrides
# PMIx makes a folder there that it does not share with other nodes.
TmpFS={folder}/tmp/%n
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
# task/affinity refuses tasks on CPUs that are only claimed.
TaskPlugin=task/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/ended
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=512
GresTypes=gpu
SchedulerType=sched/backfill
# Only the backfill scheduler starts hetjobs; by default it looks every 30 s.
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_hetjob_immediate
# The shell that starts the daemons may have low limits.
PropagateResourceLimits=NONE
ReturnToService=2
KillWait=5
MinJobAge=300
SlurmdTimeout=60
"""
#: What one without accounting has besides.
NO_ACCOUNTING = """\
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
"""


def slurm_conf(
    folder: Path, host: str, ports: Sequence[int], kinds: Sequence[NodeKind], queues: Sequence[Queue]
) -> str:
    """Return slurm.conf; the first port is slurmctld's, each node has one of its own."""
    lines = [_CONF.format(folder=folder, host=host, port=ports[0])]
    named = [(name, kind) for kind in kinds for name in kind.names]
    for (name, kind), port in zip(named, ports[1:], strict=True):
        options = f" Feature={kind.features}" if kind.features else ""
        options += f" Gres=gpu:{GPU_MODEL}:{kind.gpus}" if kind.gpus else ""
        lines.append(
            f"NodeName={name} NodeAddr=127.0.0.1 Port={port} CPUs={kind.cpus} RealMemory={kind.mem_mb} "
            f"State=UNKNOWN{options}"
        )
    for queue in queues:
        nodes = ",".join(name for name, kind in named if kind.letter in queue.letters)
        lines.append(f"PartitionName={queue.name} Nodes={nodes} DefaultTime=60 State=UP {queue.options}")
    return "\n".join(lines) + "\n"


def gres_conf(folder: Path, kinds: Sequence[NodeKind]) -> str:
    """Return gres.conf: which node has which GPUs."""
    gpus = [(",".join(kind.names), n) for kind in kinds for n in range(kind.gpus)]
    return "".join(f"NodeName={names} Name=gpu Type={GPU_MODEL} File={gpu_file(folder, n)}\n" for names, n in gpus)


def gpu_file(folder: Path, number: int) -> Path:
    """Return what stands for a GPU."""
    return folder / f"gpu{number}"


def hosts_file(host: str, nodes: Sequence[str]) -> str:
    """Return /etc/hosts: each node's name means an address of its own on this machine."""
    lines = [f"127.0.0.{number} {node}" for number, node in enumerate(nodes, start=11)]
    return "\n".join([f"127.0.0.1 localhost {host}", *lines]) + "\n"
