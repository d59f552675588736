"""Answer what is asked through a socket, until SIGTERM comes.

Usage: serve.py SOCKET FILE, where FILE is written at the end.
"""

import os
import signal
import socket
import sys
from pathlib import Path


def end(_number, _frame):
    Path(sys.argv[2]).write_text("ended\n")
    os.unlink(sys.argv[1])
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
with socket.socket(socket.AF_UNIX) as listening:
    # The socket gets its name when it listens, since its being there tells that someone answers. A socket's path may
    # not exceed 107 characters, so it is given as it stands, relative to the current folder.
    listening.bind(f"{sys.argv[1]}.not-yet")
    listening.listen()
    os.rename(f"{sys.argv[1]}.not-yet", sys.argv[1])
    while True:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(connection.recv(100).upper())
