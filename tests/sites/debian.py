"""Another site than this machine: a bare Debian with its own Python, Slurm and MPIs.

Runs on: a Debian machine, as root, with debootstrap.
Called by: hand, ``python tests/sites/debian.py --root FOLDER``; takes some minutes. Nothing of it is part of CI.

A root is made once by debootstrap, in a folder outside of the checkout (``--root``). In it, an ordinary user without
sudo runs the README's first command; and root runs those of the tests that depend on the site, with the release's own
Slurm and MPIs (``--tests`` for others). At the end stands a table.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
#: What a newcomer has, and what a site has beside that.
BARE = ("python3", "procps", "git", "ca-certificates")
SITE = ("slurmctld", "slurmd", "slurm-client", "libpmi2-0", "libpmix2t64", "mpich", "libmpich12", "openmpi-bin")
SITE += ("python3-venv", "iproute2", "iptables", "gcc", "libc6-dev", "tmux", "rsync")
#: By MPI: its library, and how mpi4py calls that.
LIBRARIES = {"mpich": ("libmpich.so.12", "libmpi.so.12"), "openmpi": ("libmpi.so.40", "libmpi.so.40")}
TESTS = {
    "unit tests": "tests/unit",
    "worlds of four ranks": "tests/integration/test_world.py",
    "cases 1 and 2, in both orders of nodes": "tests/slurm/test_cases.py",
    "1, 2 and 3 components, submitted": "tests/slurm/test_submit.py tests/slurm/test_components.py",
    "a world in an allocation": "tests/slurm/test_world_in_allocation.py",
    "doctor": "tests/slurm/test_doctor.py",
    "a killed worker": "tests/slurm/test_lost_worker.py",
    "resubmit": "tests/slurm/test_chain.py",
    "grow": "tests/slurm/test_grow.py",
}
USER = "ada"
#: The certificates with which this machine reaches PyPI may be its own.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
#: Gives the root a mount of its own, without which its nodes could not be isolated from each other, and goes there.
ENTER = """
root=$1; user=$2; shift 2
mount --bind "$root" "$root"
for folder in proc dev sys; do mount --rbind "/$folder" "$root/$folder"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
exec chroot --userspec="$user" "$root" sh -c "$1"
"""


class Outcome(NamedTuple):
    """How a step went."""

    name: str
    is_right: bool
    seconds: float
    last_words: str


def inside(root: Path, user: str, command: str, log: Path) -> int:
    """Run a command in the root, and return its exit code."""
    home = "/root" if user == "root" else f"/home/{user}"
    environ = {
        "PATH": "/opt/daskmpi/.venv/bin:" * (user == "root") + "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home,
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "SSL_CERT_FILE": CERTIFICATES,
        "PIP_CERT": CERTIFICATES,
        "DASKMPI_MPIS": "/opt/mpis",
        "DASKMPI_REQUIRE": "nightly,slurm,mpich,openmpi",
        # Interfaces of this machine that are no way to each other.
        "OMPI_MCA_btl_tcp_if_include": "lo",
    }
    enter = ["unshare", "--mount", "sh", "-euc", ENTER, "sh", str(root), user, f"cd {home}; {command}"]
    with log.open("w") as output:
        return subprocess.run(
            enter, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode


def make(root: Path, release: str, mirror: str) -> None:
    """Make a root with what a newcomer has, and the site's packages in reach; one that is there is taken."""
    if not (root / "etc/debian_version").exists():
        subprocess.run(["debootstrap", "--variant=minbase", release, str(root), mirror], check=True)
    if not (root / f"home/{USER}").exists():
        # Installing must not start daemons.
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        # A mirror that stands still, as snapshots do, is good enough for a root of a day.
        (root / "etc/apt/apt.conf.d/50mirror").write_text('Acquire::Check-Valid-Until "false";\n')
        need(root, f"apt-get update -q && {install(BARE)} && useradd --create-home {USER}")
    shutil.copy(CERTIFICATES, root / CERTIFICATES[1:])


def install(packages: tuple[str, ...]) -> str:
    """Return the command that installs packages."""
    return f"apt-get install -y -q --no-install-recommends {' '.join(packages)}"


def need(root: Path, command: str) -> None:
    """Run a command in the root that has to succeed."""
    log = root / "root" / "setup.log"
    if inside(root, "root", command, log):
        sys.exit(f"{command} failed:\n{log.read_text()[-3000:]}")


def copy_to(folder: Path) -> None:
    """Copy what is in the checkout and known to git."""
    shutil.rmtree(folder, ignore_errors=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)


def set_up_site(root: Path) -> None:
    """Install Slurm, the MPIs, and an environment for the tests."""
    need(root, install(SITE))
    shutil.copy(CERTIFICATES, root / CERTIFICATES[1:])
    libraries = root / "usr/lib/x86_64-linux-gnu"
    for mpi, (library, called) in LIBRARIES.items():
        folder = root / "opt/mpis" / mpi
        for part in ("bin", "lib"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        # No link: MPICH's looks for its own programs beside the name that it is called by.
        (folder / "bin/mpiexec").write_text(f'#!/bin/sh\nexec /usr/bin/mpiexec.{mpi} "$@"\n')
        (folder / "bin/mpiexec").chmod(0o755)
        (folder / "lib" / called).unlink(missing_ok=True)
        (folder / "lib" / called).symlink_to(f"/{libraries.relative_to(root)}/{library}")
    unversioned = libraries / "pmix2/lib/libpmix.so"
    if not unversioned.is_symlink():
        unversioned.symlink_to("libpmix.so.2")
    copy_to(root / "opt/daskmpi")
    need(root, "cd /opt/daskmpi && scripts/environment test")


def step(root: Path, name: str, user: str, command: str) -> Outcome:
    """Run a command, print how it went, and return that; its output stays in the root."""
    log = root / "root" / f"{name.replace(' ', '-')}.log"
    began = time.monotonic()
    code = inside(root, user, command, log)
    words = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
    outcome = Outcome(name, code == 0, time.monotonic() - began, words)
    print(f"{name}: {'right' if outcome.is_right else f'WRONG, see {log}'} ({words})", flush=True)
    return outcome


def main() -> int:
    """Do all of it, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder in which it is made, and kept")
    parser.add_argument("--release", default="trixie", help="of Debian (default: trixie, which is 13)")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    parser.add_argument("--tests", nargs="*", help="names of tests, or paths (default: those that depend on the site)")
    asked = parser.parse_args()
    make(asked.root, asked.release, asked.mirror)
    wanted = {name: TESTS.get(name, name) for name in asked.tests} if asked.tests is not None else TESTS
    outcomes = []
    if asked.tests is None:
        copy_to(asked.root / f"home/{USER}/daskmpi")
        need(asked.root, f"chown -R {USER}: /home/{USER}")
        if inside(asked.root, USER, "python3 -c 'import ensurepip'", asked.root / "root/setup.log"):
            # What it says without the package; a table that is made again has it by then.
            outcomes.append(step(asked.root, "says what is missing", USER, "! daskmpi/scripts/try"))
            need(asked.root, install(("python3-venv",)))
        outcomes.append(step(asked.root, "first command", USER, "daskmpi/scripts/try"))
    set_up_site(asked.root)
    for name, tests in wanted.items():
        pytest = f"python -m pytest -q -p no:cacheprovider -m 'nightly or not nightly' -k 'not impi' {tests}"
        outcomes.append(step(asked.root, name, "root", f"cd /opt/daskmpi && {pytest}"))
    print("\n| what | outcome | seconds | last line |\n| --- | --- | --- | --- |")
    for each in outcomes:
        print(f"| {each.name} | {'right' if each.is_right else 'WRONG'} | {each.seconds:.0f} | {each.last_words} |")
    return not all(each.is_right for each in outcomes)


if __name__ == "__main__":
    sys.exit(main())
