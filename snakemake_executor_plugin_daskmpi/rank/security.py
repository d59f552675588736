"""Who may speak to the ranks of a world: those that hold the world's own key, and nobody else.

Runs on: every rank.

Whoever can speak to a Dask scheduler can run programs as its user. So all traffic is TLS, also on one machine, and both
ends of each connection show the same certificate, which is made for one world and thrown away with it. It comes to a
rank by MPI's broadcast, or over its stdin, and is in no file, no environment and no command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from snakemake_executor_plugin_daskmpi import apart


@dataclass(frozen=True, slots=True)
class Credentials:
    """A private key and its self-signed certificate, both as PEM text."""

    certificate: str
    key: str = field(repr=False)

    @classmethod
    def make(cls) -> Credentials:
        """Return new ones, with a key like no other."""
        with apart.ours():
            from distributed.security import Security

            made = Security.temporary()  # imports cryptography
        return cls(made.tls_scheduler_cert, made.tls_scheduler_key)


def protocol_of(credentials: Credentials | None) -> str:
    """Return Dask's name for how ranks speak to each other."""
    return "tcp" if credentials is None else "tls"


def apply(credentials: Credentials | None) -> None:
    """Have Dask in this process show credentials, and demand them, from now on; do nothing if there are none."""
    if credentials is None:
        return
    with apart.ours():
        import dask

    dask.config.set(dask_config(credentials, in_memory(credentials)))


def dask_config(credentials: Credentials, file: str) -> dict[str, Any]:
    """Return the lines of Dask's configuration.

    Parameters
    ----------
    file
        Holds the certificate and the key.
    """
    pair = {"cert": file, "key": file}
    return {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": credentials.certificate,
        **{f"distributed.comm.tls.{role}": pair for role in ("scheduler", "worker", "client")},
    }


def in_memory(credentials: Credentials) -> str:
    """Return the name of a file that holds credentials, and is this process's own memory.

    Python's ssl reads keys from files only, and Dask would write one for it.
    """
    descriptor = os.memfd_create("daskmpi-credentials")
    with os.fdopen(os.dup(descriptor), "w") as file:
        file.write(credentials.certificate + credentials.key)
    return f"/proc/self/fd/{descriptor}"
