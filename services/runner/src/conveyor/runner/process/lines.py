"""Bytes to lines with a bound on memory: what a pipe reader uses instead of readline, which breaks on long lines."""


class LineSplitter:
    """Splits chunks at line feeds; a line longer than the cap is dropped whole and counted, never an error."""

    def __init__(self, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self._pending = bytearray()
        self._skipping = False
        self.overlong = 0
        """How many lines were longer than the cap."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without their line feeds."""
        lines: list[bytes] = []
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            self._take(part)
            if not self._skipping:
                lines.append(bytes(self._pending))
            self._start_line()
        self._take(rest)
        return lines

    def close(self) -> list[bytes]:
        """Return the last line when the output did not end with a line feed."""
        lines = [bytes(self._pending)] if self._pending and not self._skipping else []
        self._start_line()
        return lines

    def _take(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._pending) + len(part) > self._cap_bytes:
            self._skipping = True
            self.overlong += 1
            self._pending.clear()
            return
        self._pending += part

    def _start_line(self) -> None:
        self._pending.clear()
        self._skipping = False
