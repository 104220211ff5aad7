"""Free ports that stay free for whom they were chosen: held, bound but not listening, until everything has ended."""

import socket
from types import TracebackType
from typing import Self


class Ports:
    """Chooses ports. Without holding them, the services' own outgoing connections would take them now and then.

    Whoever listens has to set SO_REUSEADDR, as all servers here do. Use as a context.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def free(self, host: str) -> int:
        """Return a free port of this host and hold it."""
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, 0))
        self._held.append(holder)
        return int(holder.getsockname()[1])

    def close(self) -> None:
        """Let all of them go."""
        for holder in self._held:
            holder.close()
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()
