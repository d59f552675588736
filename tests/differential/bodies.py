"""Bodies of rules: of every kind, and ending in every way.

Runs on: the machine of the tests; the text of it in Snakefiles.
Called by: generator.

``@JOB@`` stands for the job's name. The text of a ``run:`` body and of a command comes after the facts have been
written to the output. What a body writes beside its output goes to these folders of ``$DIFFERENTIAL_ROOT``:

===============  ============================================================
``side``         what has to be the same in both runs
``unordered``    what has to have the same lines, in any order
``late``         what a daemon may still write when the run has ended
``segments``     names in ``/dev/shm`` that may not be left there
===============  ============================================================
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Body:
    """One way to be a job."""

    name: str
    #: ``run``, ``shell``, ``script`` (Python), ``bash`` (a script in it), ``jinja2`` or ``yte``.
    kind: str
    text: str = ""
    fails: bool = False
    #: Lines of the rule.
    directives: tuple[str, ...] = ()
    #: Whether its output is whole when it has ended, so that others may read it.
    whole: bool = True
    #: Lines before the output is written.
    before: str = ""
    needs: tuple[str, ...] = ()
    is_slow: bool = False
    #: Programs that it leaves in a session of their own.
    daemons: int = 0
    files: dict[str, str] = field(default_factory=dict)

    @property
    def can_be(self) -> bool:
        """Whether all that it needs is installed."""
        return all(importlib.util.find_spec(name) for name in self.needs)


RUNS = [
    Body("plain", "run"),
    Body("prints", "run", 'print("said: @JOB@ prints")\nprint("said: @JOB@ to stderr", file=sys.stderr)'),
    Body("open_file", "run", 'KEPT.append(open(f"{ROOT}/side/@JOB@", "w"))\nKEPT[-1].write("pending")'),
    Body(
        "open_local_file",
        "run",
        'left_open = open(f"{ROOT}/side/@JOB@", "w")\nleft_open.write("pending")\nleft_open.me = left_open'.replace(
            "\nleft_open.me = left_open", ""
        ),
    ),
    Body(
        "thread_pool",
        "run",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "KEPT.append(ThreadPoolExecutor(2))\nfor n in range(3):\n    KEPT[-1].submit(late, '@JOB@', 'late', 0.3)",
    ),
    Body("thread", "run", "import threading\nthreading.Thread(target=late, args=('@JOB@',)).start()"),
    Body(
        "daemon_thread",
        "run",
        "import threading\nthreading.Thread(target=late, args=('@JOB@', 'never', 400), daemon=True).start()",
    ),
    Body("atexit", "run", 'atexit.register(side, "@JOB@", "atexit")\natexit.register(late, "@JOB@", "first", 0.2)'),
    Body(
        "finalize",
        "run",
        "import weakref\nKEPT.append(type('Thing', (), {})())\nweakref.finalize(KEPT[-1], side, '@JOB@', 'finalize')",
    ),
    Body(
        "del",
        "run",
        """
class Thing:
    def __del__(self, side=side):
        side("@JOB@", "__del__")

KEPT.append(Thing())
""",
    ),
    Body(
        "cycle",
        "run",
        """
class Node:
    def __del__(self, side=side):
        side("@JOB@", "cycle")

node = Node()
node.me = node
""",
    ),
    Body("exits_hard", "run", "os._exit(0)"),
    Body("fails_hard", "run", "os._exit(4)", fails=True),
    Body("raises", "run", 'raise ValueError("@JOB@ fails")', fails=True),
    Body(
        "raises_with_a_thread",
        "run",
        "import threading\nthreading.Thread(target=late, args=('@JOB@',)).start()\nraise ValueError('@JOB@ fails')",
        fails=True,
    ),
    Body(
        "raises_with_an_atexit",
        "run",
        'atexit.register(side, "@JOB@", "atexit")\nKEPT.append(open(f"{ROOT}/side/@JOB@-open", "w"))\n'
        'KEPT[-1].write("pending")\nraise ValueError("@JOB@ fails")',
        fails=True,
    ),
    Body("kills_itself", "run", "import signal\nos.kill(os.getpid(), signal.SIGKILL)", fails=True),
    Body("terminates", "run", "import signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(1)", fails=True),
    Body("crashes", "run", "import ctypes\nctypes.string_at(0)", fails=True),
    Body("aborts", "run", "os.abort()", fails=True),
    Body("no_output", "run", "os.remove(output[0])", fails=True),
    Body(
        "program",
        "run",
        "import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 0.7; echo late > $DIFFERENTIAL_ROOT/side/@JOB@'])",
    ),
    Body(
        "program_into_output",
        "run",
        "import subprocess\n"
        "command = f'sleep 0.7; echo late >> {ROOT}/side/@JOB@; echo late >> {output[0]}'\n"
        "KEPT.append(subprocess.Popen(['sh', '-c', command]))",
        whole=False,
    ),
    Body("process", "run", "import multiprocessing\nmultiprocessing.Process(target=late, args=('@JOB@',)).start()"),
    Body(
        "daemon_process",
        "run",
        "import multiprocessing\nimport time\n"
        "multiprocessing.Process(target=time.sleep, args=(3,), daemon=True).start()",
    ),
    Body("shell", "run", 'shell("echo {rule} {output} {ROOT} | wc -w >> {output[0]}")'),
    Body(
        "shell_in_the_background",
        "run",
        'shell("(sleep 0.6; echo late > $DIFFERENTIAL_ROOT/side/@JOB@) &")',
    ),
    Body("failing_shell", "run", 'shell("exit 6")', fails=True),
    Body("reading_shell", "run", 'lines = list(shell("seq 3", iterable=True))\nside("@JOB@", str(lines))'),
    Body("elsewhere", "run", 'here = os.getcwd()\nos.chdir("/")\nside("@JOB@", os.getcwd())\nos.chdir(here)'),
    Body(
        "redirected",
        "run",
        'import contextlib\nwith open(log[0], "w") as into, contextlib.redirect_stdout(into):\n    print("in the log")',
        directives=('log: "logs/@JOB@.log"',),
    ),
    Body(
        "replaced_output",
        "run",
        'sys.stdout = sys.stderr = open(log[0], "w")\nprint("pending")\nprint("more", file=sys.stderr)',
        directives=('log: "logs/@JOB@.log"',),
    ),
    Body(
        "duplicated_output",
        "run",
        'os.dup2(os.open(log[0], os.O_WRONLY | os.O_CREAT), 1)\nprint("by Python", flush=True)\n'
        'shell("echo by a shell")',
        directives=('log: "logs/@JOB@.log"',),
    ),
    Body(
        "log_of_a_failure",
        "run",
        'with open(log[0], "w") as into:\n    into.write("it fails")\nraise ValueError("@JOB@ fails")',
        directives=('log: "logs/@JOB@.log"',),
        fails=True,
    ),
    Body(
        "logging",
        "run",
        "import logging\nlogging.getLogger('own').addHandler(logging.FileHandler(f'{ROOT}/side/@JOB@'))\n"
        "logging.getLogger('own').warning('logged')",
    ),
    Body(
        "memory_handler",
        "run",
        "import logging, logging.handlers\n"
        "target = logging.FileHandler(f'{ROOT}/side/@JOB@')\n"
        "logging.getLogger('own').addHandler(logging.handlers.MemoryHandler(100, target=target))\n"
        "logging.getLogger('own').warning('written when logging shuts down')",
    ),
    Body(
        "netcdf",
        "run",
        """
import netCDF4

data = netCDF4.Dataset(f"{ROOT}/side/@JOB@.nc", "w")
data.createDimension("x", 500)
data.createVariable("v", "f8", ("x",))[:] = list(range(500))
""",
        needs=("netCDF4",),
    ),
    Body(
        "joblib",
        "run",
        """
import numpy
from joblib import Parallel, delayed

side("@JOB@", str(Parallel(n_jobs=2)(delayed(numpy.sum)(numpy.full(300_000, n)) for n in range(4))))
with open(f"{ROOT}/segments/@JOB@", "w") as file:
    file.write(f"joblib_memmapping_folder_{os.getpid()}_*")
""",
        needs=("joblib", "numpy"),
        is_slow=True,
    ),
    Body(
        "shared_memory",
        "run",
        """
from multiprocessing.shared_memory import SharedMemory

KEPT.append(SharedMemory(create=True, size=100))
with open(f"{ROOT}/segments/@JOB@", "w") as file:
    file.write(KEPT[-1].name)
""",
    ),
    Body(
        "shared_memory_of_the_killed",
        "run",
        """
import signal
from multiprocessing.shared_memory import SharedMemory

KEPT.append(SharedMemory(create=True, size=100))
with open(f"{ROOT}/segments/@JOB@", "w") as file:
    file.write(KEPT[-1].name)
os.kill(os.getpid(), signal.SIGKILL)
""",
        fails=True,
    ),
    Body(
        "semaphore",
        "run",
        "import multiprocessing\nKEPT.append(multiprocessing.Lock())\nKEPT.append(multiprocessing.Queue())\n"
        "KEPT[-1].put('x' * 1000)\nside('@JOB@', KEPT[-1].get(timeout=10)[:3])",
    ),
    Body(
        "manager",
        "run",
        "import multiprocessing\nKEPT.append(multiprocessing.Manager())\nnumbers = KEPT[-1].list([1])\n"
        "numbers.append(2)\nside('@JOB@', str(list(numbers)))",
    ),
    Body(
        "temporary_files",
        "run",
        "import tempfile\nKEPT.append(tempfile.TemporaryDirectory(prefix='gone-'))\n"
        "KEPT.append(tempfile.NamedTemporaryFile(prefix='gone-'))\ntempfile.mkdtemp(prefix='left-')",
    ),
    Body(
        "surroundings",
        "run",
        before="""
import signal

facts.append(os.path.samefile(os.getcwd(), workflow.workdir_init))
facts.append([name for name in os.environ if name.startswith(("PMI", "OMPI", "DASK", "MPI"))])
facts.append([name for name in ("distributed", "mpi4py", "dask") if name in sys.modules])
facts.append([rule, threads, rules.@JOB@.output[0], workflow.cores, __name__])
facts.append([signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGPIPE)])
facts.append([len(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0), sys.stdin.read()])
facts.append([os.path.samefile(resources.tmpdir, os.environ["TMPDIR"]), sys.flags.isolated, sys.flags.safe_path])
facts.append([os.environ.get(name) for name in ("LANG", "HOME", "PYTHONPATH", "SHELL", "DIFFERENTIAL_POP")])
""",
    ),
    Body(
        "setsid",
        "run",
        "import subprocess\n"
        "subprocess.Popen(['setsid', 'sh', '-c', 'sleep 0.4; echo late > $DIFFERENTIAL_ROOT/late/@JOB@'])",
        daemons=1,
    ),
    Body(
        "second_try",
        "run",
        # Before it looks at anything: a second try within the process of the first would find another state.
        before="if resources.attempted < 2:\n    raise ValueError('@JOB@ fails once')",
        directives=("retries: 1", "resources: attempted=lambda wildcards, attempt: attempt"),
    ),
]

_SIDE = "$DIFFERENTIAL_ROOT/side/@JOB@"

SHELLS = [
    Body("plain", "shell", 'echo "{rule} {threads} {wildcards} {input}" >> {output[0]}'),
    Body("prints", "shell", "echo said: @JOB@ prints; echo said: @JOB@ to stderr >&2"),
    Body("in_the_background", "shell", f"(sleep 0.6; echo late > {_SIDE}) &"),
    Body("in_the_background_into_output", "shell", "(sleep 0.6; echo late >> {output[0]}) &", whole=False),
    Body("fails_with_background", "shell", f"(sleep 0.6; echo late > {_SIDE}) & exit 3", fails=True),
    Body(
        "tee",
        "shell",
        f"seq 1 200000 | tee >(gzip -n > {_SIDE}.gz) >(md5sum > {_SIDE}.md5) > /dev/null",
    ),
    Body(
        "tee_slowly",
        "shell",
        f"seq 1 20 | tee >(sleep 0.5; cat > {_SIDE}-1) >(sleep 0.3; wc -l > {_SIDE}-2) > /dev/null",
    ),
    Body("trap_exit", "shell", f"trap 'echo bye > {_SIDE}' EXIT; echo more >> {{output[0]}}"),
    Body("trap_exit_of_a_failure", "shell", f"trap 'echo bye > {_SIDE}' EXIT; false", fails=True),
    Body(
        "trap_signals",
        "shell",
        f"trap 'echo usr1 >> {_SIDE}' USR1; trap 'echo usr2 >> {_SIDE}' USR2; kill -USR1 $$; kill -USR2 $$; sleep 0.1",
    ),
    Body("trap_term", "shell", f"trap 'echo term > {_SIDE}; exit 0' TERM; kill -TERM $$; sleep 5"),
    Body("usr1", "shell", "kill -USR1 $$; sleep 5", fails=True),
    Body("exec", "shell", "exec sh -c 'echo by exec >> {output[0]}'"),
    Body("exec_fails", "shell", "exec sh -c 'exit 9'", fails=True),
    Body(
        "setsid",
        "shell",
        "setsid sh -c 'sleep 0.4; echo late > $DIFFERENTIAL_ROOT/late/@JOB@' &",
        daemons=1,
    ),
    Body("setsid_stays", "shell", "setsid sleep 3141.5 > /dev/null 2>&1 < /dev/null &", daemons=1),
    Body("nohup", "shell", f"nohup sh -c 'sleep 0.5; echo late > {_SIDE}' > /dev/null 2>&1 & disown"),
    Body("pipes", "shell", "seq 1000 | sort -rn | tail -n 3 | tr '\\n' ' ' >> {output[0]}"),
    Body("broken_pipe", "shell", "yes | head -n 1 >> {output[0]}", fails=True),
    Body("lenient", "shell", "set +eu; false; echo $NOT_THERE and on >> {output[0]}"),
    Body("fails_in_the_middle", "shell", f"false\necho never > {_SIDE}", fails=True),
    Body("unset_variable", "shell", f"echo $NOT_THERE_AT_ALL; echo never > {_SIDE}", fails=True),
    Body("exit_0", "shell", "exit 0"),
    Body("exit_7", "shell", "exit 7", fails=True),
    Body("exit_137", "shell", "exit 137", fails=True),
    Body("killed", "shell", "kill -KILL $$", fails=True),
    Body("terminated", "shell", "kill -TERM $$; sleep 5", fails=True),
    Body("interrupted", "shell", "kill -INT $$; sleep 5", fails=True),
    Body("segfault", "shell", "kill -SEGV $$", fails=True),
    Body("child_is_killed", "shell", "sh -c 'kill -KILL $$' || echo $? >> {output[0]}"),
    Body("limits", "shell", "(ulimit -n; ulimit -u; ulimit -s; ulimit -c; ulimit -v; ulimit -f) >> {output[0]}"),
    Body(
        "limit_is_met",
        "shell",
        f"ulimit -f 1; trap '' XFSZ; seq 100000 > {_SIDE} 2> /dev/null || echo no space >> {{output[0]}}; rm {_SIDE}",
    ),
    Body("heredoc", "shell", "cat >> {output[0]} <<'EOT'\na 'text' with \"quotes\" and $dollars\nEOT\n:"),
    Body("stdin", "shell", "cat | wc -c >> {output[0]}"),
    Body("wait", "shell", f"(sleep 0.2; echo a >> {_SIDE}) & (sleep 0.4; echo b >> {_SIDE}) & wait; test -s {_SIDE}"),
    Body(
        "coprocess",
        "shell",
        "coproc cat; echo x >&${{COPROC[1]}}; read -u ${{COPROC[0]}} got; echo $got >> {output[0]}",
    ),
    Body(
        "temporary_files",
        "shell",
        'mktemp -d "$TMPDIR/left-XXXXXXXX" > /dev/null; mktemp "$TMPDIR/left-XXXXXXXX" > /dev/null',
    ),
    Body("no_output", "shell", "rm {output[0]}", fails=True),
    Body(
        "surroundings",
        "shell",
        "grep -E 'Sig(Ign|Blk|Cgt)|Cpus_allowed:' /proc/self/status >> {output[0]}; umask >> {output[0]}; "
        "nice >> {output[0]}; (test -t 0 && echo tty || echo none) >> {output[0]}; "
        "echo $OMP_NUM_THREADS $MKL_NUM_THREADS $- ${{DIFFERENTIAL_POP-unset}} ${{LANG-unset}} >> {output[0]}; "
        "env | grep -cE '^(PMI|OMPI|DASK|MPI)' >> {output[0]} || true; ls /proc/self/fd | wc -l >> {output[0]}",
    ),
    Body(
        "logged",
        "shell",
        "(echo to the log; echo to stderr >&2) > {log[0]} 2>&1",
        directives=('log: "logs/@JOB@.log"',),
    ),
    Body(
        "logged_failure",
        "shell",
        "echo it fails > {log[0]}; exit 5",
        directives=('log: "logs/@JOB@.log"',),
        fails=True,
    ),
    Body(
        "second_try",
        "shell",
        "test {resources.attempted} = 2; echo again >> {output[0]}",
        directives=("retries: 1", "resources: attempted=lambda wildcards, attempt: attempt"),
    ),
    Body(
        "second_try_fails",
        "shell",
        f"echo try {{resources.attempted}} >> {_SIDE}; exit 1",
        directives=("retries: 1", "resources: attempted=lambda wildcards, attempt: attempt"),
        fails=True,
    ),
    Body(
        "descendants",
        "shell",
        f"sh -c '(sh -c \"sleep 0.5; echo deep > {_SIDE}\" &) &'",
    ),
]

#: The text of Python scripts begins with writing the output.
SCRIPTS = [
    Body("plain", "script"),
    Body("prints", "script", 'print("said: @JOB@ prints")'),
    Body("exits", "script", "sys.exit(0)"),
    Body("exits_with_3", "script", "sys.exit(3)", fails=True),
    Body("raises", "script", "raise ValueError('@JOB@ fails')", fails=True),
    Body("killed", "script", "os.kill(os.getpid(), 9)", fails=True),
    Body("thread", "script", "import threading\nthreading.Thread(target=late).start()"),
    Body(
        "program",
        "script",
        "import subprocess\nsubprocess.Popen(['sh', '-c', f'sleep 0.6; echo late > {ROOT}/side/@JOB@'])",
    ),
    Body("atexit", "script", "import atexit\natexit.register(late)"),
    Body(
        "main",
        "script",
        "import threading\nassert threading.current_thread() is threading.main_thread()\nlate(__name__)",
    ),
    Body(
        "shell", "script", 'from snakemake.shell import shell\nshell("echo $OMP_NUM_THREADS >> {snakemake.output[0]}")'
    ),
    Body(
        "logged",
        "script",
        'sys.stderr = open(snakemake.log[0], "w")\nprint("logged", file=sys.stderr)',
        directives=('log: "logs/@JOB@.log"',),
    ),
]

SCRIPT = """
import os
import sys
import time

ROOT = os.environ["DIFFERENTIAL_ROOT"]


def late(text="late"):
    time.sleep(0.5)
    with open(f"{ROOT}/side/@JOB@", "a") as file:
        print(text, file=file)


with open(snakemake.output[0], "w") as file:
    print(snakemake.rule, snakemake.threads, list(snakemake.input), dict(snakemake.params), file=file)
    print(sorted(snakemake.config), [n for n in sorted(os.environ) if n.startswith("STATE_")], file=file)
    print(os.path.samefile(os.getcwd(), ROOT), sys.argv[1:], __name__, os.umask(0), file=file)
"""

BASHES = [
    Body("plain", "bash"),
    Body("in_the_background", "bash", f"(sleep 0.5; echo late > {_SIDE}) &"),
    Body("fails", "bash", "exit 4", fails=True),
]

BASH = """
echo "${snakemake[rule]} ${snakemake[threads]}" > "${snakemake_output[0]}"
"""

TEMPLATES = [
    Body("jinja2", "jinja2", directives=("params: things=[1, 2]",)),
    Body("yte", "yte", directives=('params: things=lambda wildcards: {"a": 1}',)),
    Body(
        "failing_jinja2",
        "jinja2",
        directives=("params: things=7",),
        fails=True,
    ),
]

JINJA2 = "things:{% for thing in params.things %} {{ thing }}{% endfor %} {{ rule }}\n"
YTE = "?for name, value in params.things.items():\n  ?name: ?value + 1\n"
