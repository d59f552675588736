"""An image for Charliecloud, made in milliseconds: a folder with this machine bound into it.

Runs on: the machine of the tests.
Called by: test_container_on_slurm.

To ``ch-run`` it is an image as any other: a read-only root with files of its own, seen from nowhere else. What would
take minutes to install into it (a Debian, Python, this package) is bound from the host, as users bind folders.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import snakemake_executor_plugin_daskmpi
from required import skip_or_fail

#: A file in the image and nowhere else.
MARKER = "/made-for-the-tests-of-daskmpi"

#: What ch-run mounts into every image, and what programs expect.
_FOLDERS = ("dev", "proc", "sys", "tmp", "etc", "run", "var/tmp", "root", "home")
_FILES = ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf")
#: The host's is the image's, too.
TMP = "/tmp"  # noqa: S108

#: Links into /usr, or folders, as on the host.
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def require_ch_run() -> None:
    """Skip a test aloud if there is no ch-run; fail instead if ``DASKMPI_REQUIRE`` names container."""
    if shutil.which("ch-run") is None:
        skip_or_fail("container", "ch-run is not installed; apt-get install charliecloud lifts this")


def make_image(folder: Path, *mount_points: str) -> Path:
    """Make an image in a new folder, with places for what will be bound into it."""
    folder.mkdir()
    for name in _SYSTEM:
        host = Path("/", name)
        if host.is_symlink():
            (folder / name).symlink_to(os.readlink(host).lstrip("/"))
    for name in (*_FOLDERS, *(point.lstrip("/") for point in mount_points)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        (folder / name).touch()
    Path(f"{folder}{MARKER}").write_text("seen from inside\n")
    return folder


def host_folders() -> list[str]:
    """Return what of the host Python and this package need: the system, the environment, the source."""
    package = Path(snakemake_executor_plugin_daskmpi.__file__).parents[1]
    system = [
        "/usr",
        *(f"/{name}" for name in _SYSTEM if Path("/", name).is_dir() and not Path("/", name).is_symlink()),
    ]
    wanted = sorted({*system, sys.prefix, sys.base_prefix, str(package)})
    # What lies in another folder comes with it.
    inside = [folder for folder in wanted if not _is_below(folder, [TMP])]
    return [folder for folder in inside if not _is_below(folder, [other for other in inside if other != folder])]


def _is_below(folder: str, others: list[str]) -> bool:
    return any(Path(folder).is_relative_to(other) for other in others)
