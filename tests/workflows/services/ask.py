"""Ask a service and print its answer.

Usage: ask.py SOCKET QUESTION
"""

import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(sys.argv[2].encode())
    print(connection.recv(100).decode())
