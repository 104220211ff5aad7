"""The library's client, with the headers of a message put together at once: line by line takes it five times as long.

Stands below `connection`; nobody else knows that it differs.
"""

from typing import Any

from nats.aio.client import Client
from nats.protocol.command import hpub_cmd


class QuickClient(Client):
    """Sends what the library would send."""

    async def _send_publish(
        self, subject: str, reply: str, payload: bytes, payload_size: int, headers: dict[str, Any] | None
    ) -> None:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]) if headers else ""
        if not lines or lines.count("\n") != len(headers or ()) or lines.count("\r") != len(headers or ()):
            await super()._send_publish(subject, reply, payload, payload_size, headers)  # it knows what to do with them
            return
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        await self._send_command(hpub_cmd(subject, reply, f"NATS/1.0\r\n{lines}\r\n".encode(), payload))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()
