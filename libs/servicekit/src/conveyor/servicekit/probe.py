"""Asks a service over HTTP how it is: a container's health check without curl. `python -m conveyor.servicekit.probe`.

It runs every few seconds in every container, so it imports next to nothing: an HTTP client would cost as much again as
all the rest.
"""

import socket
import sys

URL = "http://127.0.0.1:8080/healthz"
"""What is asked unless an argument says otherwise: the port that services have in a container."""
TIMEOUT_S = 3.0
_ANSWER_BYTES = 65_536


def ask(url: str, timeout_s: float = TIMEOUT_S) -> str:
    """Return why a service is not well; empty when it answers 200. The URL is http with a port."""
    where, _, page = url.removeprefix("http://").partition("/")
    host, _, port = where.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout_s) as connection:
            connection.sendall(f"GET /{page} HTTP/1.0\r\nHost: {where}\r\n\r\n".encode())
            answer = _all_of(connection)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    head, _, told = answer.partition("\r\n\r\n")
    status = head.partition(" ")[2][:3]
    return "" if status == "200" else f"{url}: {status or 'no answer'} {told}".rstrip()


def _all_of(connection: socket.socket) -> str:
    answer = b""
    while len(answer) < _ANSWER_BYTES and (chunk := connection.recv(_ANSWER_BYTES)):
        answer += chunk
    return answer.decode(errors="replace")


def main() -> None:
    """Exit with 0 when the service is well, else with 1 and the reason."""
    sys.exit(ask(sys.argv[1] if sys.argv[1:] else URL) or 0)


if __name__ == "__main__":
    main()
