"""The accounting of a Slurm for tests: slurmdbd, and the database behind it, both in the cluster's folder.

Runs on: the machine of the tests.
Called by: slurm_cluster.

The database has a socket and no network, and asks nobody who they are: only root gets into its folder. It starts with
nothing, so that there is nothing to set up.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("mariadbd", "slurmdbd", "sacct", "sacctmgr", "sstat")

_SLURMDBD_CONF = """\
AuthType=auth/none
DbdHost=localhost
DbdPort={port}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
"""
#: Lines of slurm.conf. What runs is looked at each second.
_SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
"""


def missing() -> str | None:
    """Return why there can be no accounting on this machine, None if there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(absent)}; apt-get install slurmdbd mariadb-server-core lifts this" if absent else None


def write_files(folder: Path, port: int) -> str:
    """Write what the daemons read, and return the lines of slurm.conf."""
    database(folder).mkdir(mode=0o700)
    conf = folder / "slurmdbd.conf"
    conf.write_text(_SLURMDBD_CONF.format(folder=folder, port=port))
    # Slurmdbd refuses one that others can read.
    conf.chmod(0o600)
    return _SLURM_CONF.format(port=port)


def database(folder: Path) -> Path:
    """Return the folder of the database."""
    return folder / "database"


def socket_of(folder: Path) -> Path:
    """Return the socket of the database."""
    return database(folder) / "socket"


def database_command(folder: Path) -> list[str]:
    """Return the command of the database, small, and careless about crashes."""
    small = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--performance-schema=OFF")
    careless = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF")
    open_ = ("--skip-networking", "--skip-grant-tables", f"--socket={socket_of(folder)}")
    place = ("--user=root", f"--datadir={database(folder)}", f"--pid-file={folder}/run/mariadbd.pid")
    return ["mariadbd", "--no-defaults", *place, *open_, *small, *careless]


def slurmdbd_command(folder: Path) -> list[str]:
    """Return the command of slurmdbd, which no file can tell of the socket."""
    return ["env", f"MYSQL_UNIX_PORT={socket_of(folder)}", "slurmdbd", "-D"]
