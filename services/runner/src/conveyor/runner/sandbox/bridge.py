"""Brings the runner's proxy, a socket file, to the sandbox's loopback, then becomes the agent.

A program of its own, run inside as `python -I -S bridge.py SOCKET PORT ARGV...`; the standard library only.
"""

import os
import socket
import sys
import threading
from typing import NoReturn

_CHUNK_BYTES = 65_536


def _main(path: str, port: int, argv: list[str]) -> NoReturn:
    server = socket.create_server(("127.0.0.1", port))  # before the agent starts, so that it is there at once
    child = os.fork()
    if not child:
        if os.fork():
            os._exit(0)  # so that the bridge is no child of the agent's
        _serve(server, path)
    os.waitpid(child, 0)
    server.close()
    os.execvp(argv[0], argv)  # noqa: S606 - becoming another program without a shell is the point


def _serve(server: socket.socket, path: str) -> NoReturn:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    while True:
        inner, _ = server.accept()
        threading.Thread(target=_join, args=(inner, path), daemon=True).start()


def _join(inner: socket.socket, path: str) -> None:
    with inner, socket.socket(socket.AF_UNIX) as outer:
        outer.connect(path)
        back = threading.Thread(target=_pour, args=(outer, inner), daemon=True)
        back.start()
        _pour(inner, outer)
        back.join()


def _pour(source: socket.socket, drain: socket.socket) -> None:
    try:
        while chunk := source.recv(_CHUNK_BYTES):
            drain.sendall(chunk)
        drain.shutdown(socket.SHUT_WR)
    except OSError:  # one side has gone: so does the other
        for end in (source, drain):
            end.close()


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
