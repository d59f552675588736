"""What lets a further allocation in: a ticket that works once.

Runs on: rank 1, which issues it; the batch job that is submitted with it, and the first rank there, which shows it.

It travels in the environment with which the job is submitted: no file and no command line holds it. Whoever reads it
later, where Slurm keeps environments or in a job that has ended, has a word that means nothing any more.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from dataclasses import asdict, dataclass, field

#: Names the variable that holds a ticket.
VARIABLE = "DASKMPI_TICKET"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to ask, whom to meet there, and the word that opens."""

    #: Rank 1's.
    host: str
    port: int
    #: SHA-256 of the certificate that it has to show, in hexadecimal digits.
    fingerprint: str
    word: str = field(repr=False)

    def text(self) -> str:
        """Return it as a variable's value."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Ticket:
        """Read what :meth:`text` wrote; ValueError if it is something else."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(str(error)) from error


def fingerprint_of(certificate: str | bytes) -> str:
    """Return the fingerprint of a certificate, given as PEM text or as the bytes that a connection has shown."""
    der = ssl.PEM_cert_to_DER_cert(certificate) if isinstance(certificate, str) else certificate
    return hashlib.sha256(der).hexdigest()
