"""What Snakefiles hold at their top, and how a body finds out in which state it is.

Runs on: the machine of the tests; the text of it in Snakefiles.
Called by: generator.

A state is text. ``probe`` goes into ``run:`` bodies and appends to the list ``facts``, which the job writes to its
output, or calls ``relation(name, job, value)`` for a value that differs from run to run: of such values it is compared
which jobs have the same one. ``shell`` goes into commands. ``@JOB@`` stands for the job's name.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

#: What every generated Snakefile begins with.
HEADER = '''
import atexit
import itertools
import os
import sys

ROOT = os.environ["DIFFERENTIAL_ROOT"]
CURRENT = ["main"]
KEPT = []


def relation(name, job, value):
    """Note a value that differs from run to run."""
    os.makedirs(f"{ROOT}/relations/{name}", exist_ok=True)
    with open(f"{ROOT}/relations/{name}/{job}", "w") as file:
        file.write(str(value))


def side(job, text, _open=os.open, _write=os.write, _close=os.close, _root=ROOT, _flags=os.O_WRONLY | os.O_CREAT):
    """Write to a file that Snakemake does not know, at any time, even while the interpreter ends."""
    descriptor = _open(f"{_root}/side/{job}", _flags | (0 if job.startswith("main-") else 1024), 0o666)  # O_APPEND
    _write(descriptor, text.encode() + b"\\n")
    _close(descriptor)


def late(job, text="late", seconds=0.6):
    """Write such a file after some time."""
    import time

    time.sleep(seconds)
    side(job, text)
'''


@dataclass(frozen=True, slots=True)
class State:
    """One thing at the top of a Snakefile."""

    name: str
    top: str = ""
    #: Lines of a ``run:`` body.
    probe: str = ""
    #: Lines of a shell command; a single brace is Snakemake's.
    shell: str = ""
    #: A line of ``params:``.
    params: str = ""
    #: Lines of ``onstart:``.
    onstart: str = ""
    #: Files beside the Snakefile.
    files: dict[str, str] = field(default_factory=dict)
    #: Modules without which it cannot be.
    needs: tuple[str, ...] = ()
    #: Whether it takes a second to import it.
    is_slow: bool = False
    #: States beside which the local executor hangs: a process forked of its threads, for one.
    excludes: tuple[str, ...] = ()

    @property
    def can_be(self) -> bool:
        """Whether all that it needs is installed."""
        return all(importlib.util.find_spec(name) for name in self.needs)


_ECHO = 'echo "{0}: {1}" >> {{output[0]}}'


def _relate(name: str, value: str) -> str:
    """Return what ``relation()`` does, for a shell."""
    folder = f"$DIFFERENTIAL_ROOT/relations/{name}"
    return f"mkdir -p {folder}; echo -n {value} > {folder}/@JOB@"


def _tell(name: str, text: str) -> str:
    return f'facts.append(f"{name}: {text}")'


STATES = [
    # -- randomness and identity ---------------------------------------------------------------
    State(
        "own_rng",
        "import random\nOWN = random.Random()",
        'relation("own_rng", "@JOB@", OWN.random())',
        _relate("own_rng", "{params.drawn}"),
        params="drawn=lambda wildcards: OWN.random(),",
    ),
    State(
        "seeded",
        "import random\nrandom.seed(5)",
        'facts.append(f"seeded: {random.random()} {random.randrange(1000)}")',
    ),
    State(
        "seeded_generator",
        "import random\nSEEDED = random.Random(6)\nFIRST = SEEDED.random()",
        _tell("seeded_generator", "{FIRST} {SEEDED.random()}"),
        _ECHO.format("seeded_generator", "{FIRST}"),
    ),
    State(
        "numpy_rng",
        "import numpy as np\nRNG = np.random.default_rng()",
        'relation("numpy_rng", "@JOB@", RNG.integers(10**15))\nrelation("numpy_global", "@JOB@", np.random.random())',
        needs=("numpy",),
    ),
    State(
        "numpy_seeded",
        "import numpy as np\nnp.random.seed(3)\nSTATE = np.random.RandomState(4)\nRNG5 = np.random.default_rng(5)",
        _tell("numpy_seeded", "{np.random.random()} {STATE.random_sample()} {RNG5.integers(10**9)}"),
        needs=("numpy",),
    ),
    State(
        "identity",
        "import uuid\nRUN = uuid.uuid4().hex\nPID = os.getpid()",
        'relation("run", "@JOB@", RUN)\nrelation("pid", "@JOB@", PID)\n' + _tell("pid", "{PID == os.getpid()}"),
        _relate("run", "{RUN}") + "\n" + _relate("pid", "{PID}"),
    ),
    State(
        "inherited_identity",
        'import uuid\nRUN_ID = os.environ.setdefault("STATE_RUN_ID", uuid.uuid4().hex)',
        'relation("run_id", "@JOB@", RUN_ID)',
        _relate("run_id", "$STATE_RUN_ID"),
    ),
    State(
        "scratch",
        'import tempfile\nSCRATCH = tempfile.mkdtemp(prefix="scratch-")',
        """
relation("scratch", "@JOB@", SCRATCH)
with open(f"{SCRATCH}/chunk", "a+") as chunk:
    chunk.write("@JOB@ ")
    chunk.seek(0)
    facts.append(f"scratch: {chunk.read()} {os.listdir(SCRATCH)}")
""",
        _relate("scratch", "{SCRATCH}"),
    ),
    State(
        "scratch_with_an_end",
        'import tempfile\nSCOPE = tempfile.TemporaryDirectory(prefix="scope-")',
        'relation("scope", "@JOB@", SCOPE.name)\n' + _tell("scope", "{os.path.isdir(SCOPE.name)}"),
        _relate("scope", "{SCOPE.name}") + "\ntest -d {SCOPE.name}",
    ),
    # -- handles -------------------------------------------------------------------------------
    State(
        "reading",
        'LINES = open("lines.txt")\nHEAD = next(LINES)',
        _tell("reading", "{next(LINES).strip()} {LINES.readline().strip()}"),
        _ECHO.format("reading", "{HEAD}"),
        files={"lines.txt": "".join(f"line {n}\n" for n in range(5))},
    ),
    State(
        "appending",
        'APPENDED = open(f"{ROOT}/unordered/appended.txt", "a")',
        'APPENDED.write("of @JOB@\\n")',
        "echo of @JOB@ >> {APPENDED.name}",
    ),
    State(
        "database",
        """
import sqlite3

DATABASE = sqlite3.connect(f"{ROOT}/top.db", check_same_thread=False, timeout=30)
DATABASE.execute("CREATE TABLE IF NOT EXISTS jobs (name TEXT)")
DATABASE.commit()
""",
        """
DATABASE.execute("INSERT INTO jobs VALUES ('@JOB@')")
DATABASE.commit()
facts.append(f"database: {DATABASE.execute('SELECT count(*) FROM jobs WHERE name = ?', ('@JOB@',)).fetchall()}")
""",
    ),
    State(
        "socket",
        """
import socket

SOCKET = socket.create_connection(("127.0.0.1", int(os.environ["DIFFERENTIAL_PORT"])))
""",
        'SOCKET.sendall(b"ping")\n' + _tell("socket", "{SOCKET.recv(100)}"),
    ),
    State(
        "pipe",
        'READ_END, WRITE_END = os.pipe()\nos.write(WRITE_END, b"from the top")',
        'os.write(WRITE_END, b" and @JOB@")\n' + _tell("pipe", "{os.read(READ_END, 100)}"),
    ),
    # -- threads and processes -----------------------------------------------------------------
    State(
        "thread",
        """
import threading
import time

TICKS = []
THREAD = threading.Thread(target=lambda: [(TICKS.append(1), time.sleep(0.02)) for _ in range(10**6)], daemon=True)
THREAD.start()
""",
        """
seen = len(TICKS)
time.sleep(0.3)
facts.append(f"thread: {THREAD.is_alive()} {len(TICKS) > seen}")
""",
    ),
    State(
        "thread_pool",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "THREADS = ThreadPoolExecutor(2)\nTHREADS.submit(sum, [1]).result()",
        _tell("thread_pool", "{THREADS.submit(sum, [1, 2]).result(timeout=20)}"),
    ),
    State(
        "process_pool",
        "import multiprocessing\nPOOL = multiprocessing.Pool(1)",
        _tell("process_pool", "{POOL.map_async(abs, [-1, 2]).get(20)}"),
    ),
    State(
        "process_pool_executor",
        "from concurrent.futures import ProcessPoolExecutor\n"
        "PROCESSES = ProcessPoolExecutor(1)\nPROCESSES.submit(abs, -1).result()",
        _tell("process_pool_executor", "{PROCESSES.submit(abs, -3).result(timeout=20)}"),
    ),
    State(
        "lock",
        "import threading\nLOCK = threading.Lock()\nHELD = threading.Lock()\nHELD.acquire()",
        _tell("lock", "{LOCK.acquire(timeout=5)} {HELD.acquire(timeout=0.1)}"),
    ),
    State(
        "thread_local",
        """
import decimal
import threading

LOCAL = threading.local()
LOCAL.value = "of the thread that parses"
decimal.getcontext().prec = 5
""",
        "facts.append(f\"thread_local: {getattr(LOCAL, 'value', None)} {decimal.Decimal(1) / 3}\")",
    ),
    State(
        "program",
        """
import subprocess

PROGRAM = subprocess.Popen(["cat", "-n"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
""",
        'PROGRAM.stdin.write("@JOB@\\n")\nPROGRAM.stdin.close()\n' + _tell("program", "{PROGRAM.stdout.read()!r}"),
        # A pool that is forked after it holds the other end of its pipe.
        excludes=("process_pool", "process_pool_executor"),
    ),
    # -- the process ---------------------------------------------------------------------------
    State(
        "environment",
        'os.environ["STATE_SET"] = "by the top"\nos.environ.pop("DIFFERENTIAL_POP", None)',
        "facts.append(f\"environment: {os.environ['STATE_SET']} {os.environ.get('DIFFERENTIAL_POP')}\")",
        'echo "environment: $STATE_SET ${{DIFFERENTIAL_POP:-unset}}" >> {output[0]}',
    ),
    State(
        "appended_environment",
        'os.environ["STATE_GROWS"] = os.environ.get("STATE_GROWS", "") + "x"',
        "facts.append(f\"appended_environment: {os.environ['STATE_GROWS']}\")",
        _ECHO.format("appended_environment", "$STATE_GROWS"),
    ),
    State(
        "umask",
        "os.umask(0o027)",
        'open(f"{ROOT}/side/@JOB@-mode", "w").close()\nos.mkdir(f"{ROOT}/side/@JOB@-folder")',
        "umask >> {output[0]}; touch $DIFFERENTIAL_ROOT/side/@JOB@-mode",
    ),
    State(
        "limits",
        """
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, (712, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
""",
        _tell("limits", "{resource.getrlimit(resource.RLIMIT_NOFILE)} {resource.getrlimit(resource.RLIMIT_CORE)}"),
        'echo "limits: $(ulimit -n) $(ulimit -Hn) $(ulimit -c)" >> {output[0]}',
    ),
    State(
        "signal_handler",
        """
import signal
import time

CAUGHT = []
signal.signal(signal.SIGUSR1, lambda number, frame: CAUGHT.append(number))
""",
        """
os.kill(os.getpid(), signal.SIGUSR1)
for _ in range(100):
    if CAUGHT:
        break
    time.sleep(0.05)
facts.append(f"signal_handler: {len(CAUGHT)}")
""",
    ),
    State(
        "ignored_signal",
        "import signal\nsignal.signal(signal.SIGUSR2, signal.SIG_IGN)",
        "os.kill(os.getpid(), signal.SIGUSR2)\n" + _tell("ignored_signal", "{signal.getsignal(signal.SIGUSR2)!r}"),
        "kill -USR2 $$; grep -E 'Sig(Ign|Blk)' /proc/self/status >> {output[0]}",
    ),
    State(
        "time_zone",
        'import time\nos.environ["TZ"] = "Etc/GMT-5"\ntime.tzset()',
        'facts.append("time_zone: " + time.strftime("%z") + f" {time.timezone}")',
        'date "+time_zone: %z" >> {output[0]}',
    ),
    State(
        "interpreter",
        """
import gc
import socket

sys.setrecursionlimit(4321)
gc.disable()
socket.setdefaulttimeout(7)
""",
        _tell("interpreter", "{sys.getrecursionlimit()} {gc.isenabled()} {socket.getdefaulttimeout()}"),
    ),
    # -- modules and libraries -----------------------------------------------------------------
    State(
        "sys_path",
        'sys.path.insert(0, "lib")\nimport at_the_top\nat_the_top.COUNT.append(1)',
        """
import only_in_a_body
import beside

at_the_top.COUNT.append(1)
facts.append(f"sys_path: {os.path.relpath(sys.path[0], ROOT)} {at_the_top.COUNT} {only_in_a_body.VALUE} {beside.VALUE}")
""",
        _ECHO.format("sys_path", "{at_the_top.COUNT}"),
        files={"lib/at_the_top.py": "COUNT = []\n", "lib/only_in_a_body.py": "VALUE = 1\n", "beside.py": "VALUE = 2\n"},
    ),
    State(
        "logging",
        """
import logging

LOG = logging.getLogger("of the workflow")
LOG.setLevel(logging.INFO)
LOG.addHandler(logging.FileHandler(f"{ROOT}/unordered/logging.txt"))
""",
        'LOG.info("@JOB@ runs")\nLOG.debug("not this")',
    ),
    State(
        "warnings",
        """
import warnings


class OwnWarning(UserWarning):
    pass


warnings.simplefilter("error", OwnWarning)
""",
        """
try:
    warnings.warn("an error", OwnWarning)
    facts.append("warnings: shown")
except OwnWarning:
    facts.append("warnings: an error")
""",
    ),
    State(
        "settings_of_libraries",
        """
import decimal
import locale

decimal.DefaultContext.prec = 7
locale.setlocale(locale.LC_TIME, "C")
""",
        """
import concurrent.futures

with concurrent.futures.ThreadPoolExecutor(1) as in_a_thread:
    third = in_a_thread.submit(lambda: decimal.Decimal(1) / 3).result()
facts.append(f"settings_of_libraries: {third} {locale.setlocale(locale.LC_TIME)}")
""",
    ),
    State(
        "numpy_settings",
        'import numpy as np\nnp.set_printoptions(precision=3)\nnp.seterr(divide="raise")',
        """
try:
    facts.append(f"numpy_settings: {np.array([1 / 3])} {np.ones(1) / np.zeros(1)}")
except FloatingPointError:
    facts.append(f"numpy_settings: {np.array([1 / 3])} raises")
""",
        needs=("numpy",),
    ),
    State(
        "patched_library",
        "import colorsys\ncolorsys.ONE_THIRD = 7\nimport builtins\nbuiltins.of_the_top = [1]",
        "of_the_top.append(2)\n" + _tell("patched_library", "{colorsys.ONE_THIRD} {of_the_top}"),
    ),
    State(
        "numpy_threads",
        "import numpy as np\nMATRIX = np.ones((300, 300)) @ np.ones((300, 300))",
        _tell("numpy_threads", "{float((MATRIX @ MATRIX).sum())}"),
        needs=("numpy",),
    ),
    State(
        "polars",
        'import polars as pl\nTABLE = pl.DataFrame({"n": list(range(5000))}).filter(pl.col("n") % 2 == 0)',
        "facts.append(f\"polars: {TABLE.lazy().select(pl.col('n').sum()).collect().item()}\")",
        needs=("polars",),
    ),
    State(
        "scikit_learn",
        """
import numpy as np
from sklearn.cluster import KMeans

POINTS = np.arange(2000.0).reshape(-1, 2)
MODEL = KMeans(2, n_init=1, random_state=0).fit(POINTS)
""",
        _tell("scikit_learn", "{MODEL.inertia_:.6g} {KMeans(3, n_init=1, random_state=1).fit(POINTS).inertia_:.6g}"),
        needs=("sklearn", "numpy"),
        is_slow=True,
        excludes=("process_pool", "process_pool_executor"),
    ),
    # -- Python objects ------------------------------------------------------------------------
    State(
        "counter",
        """
COUNTER = itertools.count(1)
NAMES = []


def named(name):
    NAMES.append(name)
    return len(NAMES)
""",
        _tell("counter", "{next(COUNTER)} {next(COUNTER)} {named(1)} {NAMES}"),
        _ECHO.format("counter", "{NAMES}"),
    ),
    State(
        "cache",
        """
import functools

CALLS = []


@functools.lru_cache
def expensive(n):
    CALLS.append(n)
    return n * n


expensive(2)
""",
        _tell("cache", "{expensive(2)} {expensive(3)} {expensive(3)} {CALLS} {expensive.cache_info().hits}"),
    ),
    State(
        "generator",
        "NUMBERS = (n * n for n in range(1, 100))\nONE = next(NUMBERS)",
        _tell("generator", "{ONE} {next(NUMBERS)} {next(NUMBERS)}"),
        _ECHO.format("generator", "{ONE}"),
    ),
    State(
        "objects",
        """
class Sample:
    made = 0

    def __init__(self, name):
        Sample.made += 1
        self.name, self.number = name, Sample.made


SAMPLE = Sample("s")


def counting():
    n = 0

    def count():
        nonlocal n
        n += 1
        return n

    return count


COUNT = counting()
COUNT()
""",
        _tell("objects", "{SAMPLE.name} {Sample('t').number} {COUNT()}"),
        _ECHO.format("objects", "{SAMPLE.name} {SAMPLE.number} {Sample.made}"),
    ),
    State(
        "config",
        'config["level"] = config.get("level", 0) + 1\nconfig.setdefault("names", []).append("top")',
        "facts.append(f\"config: {config['level']} {config['names']}\")\nconfig[\"level\"] += 1",
        _ECHO.format("config", "{config[level]} {config[names]}"),
    ),
    State(
        "functions",
        """
TABLE_OF_INPUTS = {}


def noted(wildcards):
    TABLE_OF_INPUTS["seen"] = TABLE_OF_INPUTS.get("seen", 0) + 1
    return 7
""",
        _tell("functions", "{params.noted} {bool(TABLE_OF_INPUTS)}"),
        _ECHO.format("functions", "{params.noted}"),
        params="noted=noted,",
    ),
    # -- ends ----------------------------------------------------------------------------------
    State(
        "end_of_the_interpreter",
        """
import weakref


class Ending:
    def __del__(self):
        # Python does not promise that it is called at the end; of bodies, it is.
        if CURRENT[0] != "main":
            side(f"{CURRENT[0]}-del", "__del__")


THING = Ending()
FINALIZED = type("Finalized", (), {})()
atexit.register(lambda: side(f"{CURRENT[0]}-atexit", "atexit"))
weakref.finalize(FINALIZED, lambda: side(f"{CURRENT[0]}-finalize", "finalize"))
""",
        'CURRENT[0] = "@JOB@"',
    ),
    # -- what runs before the jobs -------------------------------------------------------------
    State(
        "onstart_environment",
        "",
        "facts.append(f\"onstart_environment: {os.environ.get('STATE_ONSTART')}\")",
        'echo "onstart_environment: ${{STATE_ONSTART:-unset}}" >> {output[0]}',
        onstart='os.environ["STATE_ONSTART"] = "set"',
    ),
    State(
        "onstart_globals",
        "STARTED = [0]",
        _tell("onstart_globals", "{STARTED}"),
        _ECHO.format("onstart_globals", "{STARTED}"),
        onstart="STARTED.append(1)",
    ),
    State(
        "onstart_file",
        'STARTED_FILE = os.path.exists(f"{ROOT}/side/started")',
        "facts.append(f\"onstart_file: {STARTED_FILE} {os.path.exists(f'{ROOT}/side/started')}\")",
        'echo "onstart_file: {STARTED_FILE} $(cat $DIFFERENTIAL_ROOT/side/started)" >> {output[0]}',
        onstart='side("started", "yes")',
    ),
    State(
        "shell_prefix",
        'shell.prefix("export STATE_PREFIX=prefixed; ")\n'
        'shell.suffix("\\necho suffix >> $DIFFERENTIAL_ROOT/unordered/suffix")',
        'shell("echo shell_prefix: $STATE_PREFIX > $DIFFERENTIAL_ROOT/side/@JOB@-prefix")',
        _ECHO.format("shell_prefix", "$STATE_PREFIX"),
    ),
]

BY_NAME = {state.name: state for state in STATES}
