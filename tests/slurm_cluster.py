"""A real Slurm of several nodes on this machine, in one folder: ``python tests/slurm_cluster.py``.

Runs on: the machine of the tests, as root, with Debian's slurmctld, slurmd and slurm-client.
Called by: the fixture ``slurm`` of conftest; by hand, to try things out.

Each node is a slurmd with a port of its own, which claims more CPUs and memory than there are. It
has a hostname, an /etc/hosts and a /dev/shm of its own: Intel MPI goes wrong in another way where
"nodes" share memory. Nothing outside of the folder is read or written, and no munge is needed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import slurm_accounting
from runs import wait_until
from slurm_conf import KINDS, NO_ACCOUNTING, QUEUES, NodeKind, Queue, gpu_file, gres_conf, hosts_file, slurm_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "unshare", "setpriv")

#: What each node has of its own: hostname, System V's shared memory, mounts.
_NAMESPACES = ("--uts", "--ipc", "--mount")


class ClusterError(Exception):
    """The cluster did not come up, or a command of Slurm's failed."""


def missing() -> str | None:
    """Return why there can be no cluster on this machine, None if there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"no {', '.join(absent)}; apt-get install slurmctld slurmd slurm-client lifts this"
    isolated = subprocess.run(["unshare", *_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if isolated.returncode or os.geteuid():
        return (
            f"nodes cannot be isolated: {isolated.stderr.strip()}; being root (in a container, privileged) lifts this"
        )
    return None


@dataclass(slots=True)
class SlurmCluster:
    """One cluster; ``up``, then ``environ`` is what its clients need."""

    #: At most 60 characters, since sockets lie below it.
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="dm-slurm-", dir="/tmp")))
    kinds: tuple[NodeKind, ...] = KINDS
    queues: tuple[Queue, ...] = QUEUES
    #: Further lines of slurm.conf.
    extra: str = ""
    #: Whether there is slurmdbd, and a database behind it.
    has_accounting: bool = False
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    # -- as its users see it -------------------------------------------------------------------

    @property
    def conf(self) -> Path:
        """The file that says where the cluster is."""
        return self.folder / "slurm.conf"

    @property
    def environ(self) -> dict[str, str]:
        """What a client of Slurm needs in its environment."""
        return {"SLURM_CONF": str(self.conf)}

    @property
    def nodes(self) -> list[str]:
        """All nodes."""
        return [name for kind in self.kinds for name in kind.names]

    def ask(self, *command: str) -> str:
        """Run a command of Slurm's (or any) as its user would, and return what it prints."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "PMI"))}
        done = subprocess.run(
            command, env={**environ, **self.environ}, capture_output=True, text=True, timeout=90, check=False
        )
        if done.returncode:
            raise ClusterError(f"{command} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def squeue(self, *args: str) -> str:
        """Return what ``squeue`` says, without its heading; empty if there are no jobs."""
        return self.ask("squeue", "--noheader", *args)

    def scontrol(self, *args: str) -> str:
        """Run ``scontrol``."""
        return self.ask("scontrol", *args)

    def ended(self, job_id: int) -> tuple[str, int] | None:
        """Return state and exit code of a job (a hetjob's first component) that has ended, None before.

        As a shell has it: 128 and the number of the signal that ended it. From the file that slurmctld appends to:
        cheap enough to be asked all the time.
        """
        with contextlib.suppress(FileNotFoundError):
            # A job's folder may have a newline in its name, so a record is no line.
            pattern = rf"^JobId={job_id} .*?JobState=(\S+) .*?\sExitCode=(\d+):(\d+)"
            records = re.findall(pattern, (self.folder / "log" / "ended").read_text(), re.DOTALL | re.MULTILINE)
            if records:
                state, code, number = records[-1]
                return state, int(code) or (128 + int(number) if int(number) else 0)
        return None

    def clear(self) -> str:
        """Cancel all jobs, wait for their end, and set all nodes up again; return what there was to clear."""
        found = self.squeue("--format=%i %T %j %R")
        if found:
            self.ask("scancel", "--full", *{line.split()[0].partition("+")[0] for line in found.splitlines()})
            self._wait(lambda: not self.squeue(), lambda: f"jobs do not end: {self.squeue()}")
        for line in self._node_states():
            node, state = line.split()
            if "down" in state or "drain" in state:
                self.scontrol("update", f"nodename={node}", "state=resume")
        self._wait(self._all_idle, lambda: f"nodes do not come back: {self._node_states()}")
        return found

    # -- its life ------------------------------------------------------------------------------

    def up(self) -> None:
        """Start the daemons, and return when all nodes are ready for jobs."""
        if len(str(self.folder)) > 60:
            raise ClusterError(f"{self.folder} is too long: paths of sockets below it have 107 characters at most")
        self._write()
        try:
            if self.has_accounting:
                self._start_accounting()
            self.start_controller("-i")
            for name in self.nodes:
                self.start_node(name)
            self._wait(self._all_idle, lambda: f"nodes are {self._node_states()}, see {self.folder}/log")
        except BaseException:
            self.down()
            raise

    def _start_accounting(self) -> None:
        """Start the database and slurmdbd; slurmctld would start without them, and be of no use for a while."""
        self._start("mariadbd", *slurm_accounting.database_command(self.folder))
        self._wait(slurm_accounting.socket_of(self.folder).exists, lambda: f"no database, see {self.folder}/log")
        self.start_slurmdbd()

    def start_slurmdbd(self) -> None:
        """Start what keeps the accounting, and return when it answers."""
        self._start("slurmdbd", *slurm_accounting.slurmdbd_command(self.folder))
        self._wait(self._has_slurmdbd, lambda: f"no slurmdbd, see {self.folder}/log")

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        isolate = 'hostname "$1" && mount --bind "$2" /etc/hosts && mount -t tmpfs -o mode=1777 tmpfs /dev/shm'
        shell = ["sh", "-c", f'{isolate} && exec slurmd -D -N "$1"', "sh", name, str(self.folder / "hosts")]
        self._start(name, "unshare", *_NAMESPACES, *shell)

    def start_controller(self, *args: str) -> None:
        """Start slurmctld, anew perhaps."""
        self._start("slurmctld", "slurmctld", "-D", *args)

    def kill_daemon(self, name: str) -> None:
        """Kill slurmctld, slurmdbd, or the slurmd of a node, not what runs there."""
        self._daemons[name].kill()
        self._daemons[name].wait()

    @contextlib.contextmanager
    def hanging(self, name: str) -> Iterator[None]:
        """Have a daemon say nothing for a while."""
        self._daemons[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._daemons[name].send_signal(signal.SIGCONT)

    def down(self) -> None:
        """Cancel what runs, and end the daemons and all that is left of their jobs."""
        controller = self._daemons.get("slurmctld")
        if controller and controller.poll() is None:
            with contextlib.suppress(ClusterError, AssertionError, subprocess.TimeoutExpired):
                self.clear()
        # slurmctld last: slurmds tell it that they go.
        for daemon in reversed(self._daemons.values()):
            daemon.send_signal(signal.SIGTERM)
        for daemon in self._daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        for process in self._of_its_jobs():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def wipe(self) -> None:
        """Delete the folder, logs included."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        """Write what the daemons read, and make the folders that they write to."""
        for name in ("state", "run", "log", *(f"{place}/{node}" for place in ("spool", "tmp") for node in self.nodes)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        host = socket.gethostname().partition(".")[0]
        port, *ports = _free_ports(2 + len(self.nodes))
        accounting = slurm_accounting.write_files(self.folder, port) if self.has_accounting else NO_ACCOUNTING
        text = slurm_conf(self.folder, host, ports, self.kinds, self.queues)
        self.conf.write_text(text + accounting + self.extra + "\n")
        (self.folder / "gres.conf").write_text(gres_conf(self.folder, self.kinds))
        for n in range(max(kind.gpus for kind in self.kinds)):
            gpu_file(self.folder, n).symlink_to("/dev/null")
        (self.folder / "hosts").write_text(hosts_file(host, self.nodes))

    def _start(self, name: str, *command: str) -> None:
        """Start a daemon that ends with this process, however that ends."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "PMI", "OMPI", "PRTE"))}
        with (self.folder / "log" / f"{name}.out").open("wb") as output:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                cwd=self.folder,
                env={**environ, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    # -- how it is -----------------------------------------------------------------------------

    def _node_states(self) -> list[str]:
        """Return lines of a node and its state."""
        with contextlib.suppress(ClusterError):
            return sorted(set(self.ask("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()))
        return []

    def _has_slurmdbd(self) -> bool:
        self._check_daemons()
        with contextlib.suppress(ClusterError):
            self.ask("sacctmgr", "--noheader", "show", "cluster")
            return True
        return False

    def _check_daemons(self) -> None:
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                raise ClusterError(f"{name} ended with {daemon.returncode}, see {self.folder}/log")

    def _all_idle(self) -> bool:
        self._check_daemons()
        states = self._node_states()
        return len(states) == len(self.nodes) and all(line.endswith(" idle") for line in states)

    def _wait(self, is_so: Callable[[], bool], seen: Callable[[], str]) -> None:
        wait_until(is_so, on_timeout=seen, timeout_s=90, every_s=0.1)

    def _of_its_jobs(self) -> list[psutil.Process]:
        """Return the processes of its jobs and their keepers, whoever their parent is by now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environ = process.environ()
                of_a_job = "SLURM_JOB_ID" in environ or process.name() == "slurmstepd"
                if of_a_job and environ.get("SLURM_CONF") == str(self.conf):
                    found.append(process)
        return found


def _free_ports(count: int) -> list[int]:
    """Return TCP ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    cluster = SlurmCluster(Path(sys.argv[1])) if len(sys.argv) > 1 else SlurmCluster()
    cluster.up()
    print(f"export SLURM_CONF={cluster.conf}   # Ctrl-C here takes it down", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        cluster.down()
        cluster.wipe()
