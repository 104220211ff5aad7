"""Key-value buckets: small facts that are looked up, shared or owned; laid out so that `nats kv` can read them."""

import math
import re
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from conveyor.contracts.streams import BucketSpec
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import Conflict
from conveyor.servicekit.bus.follow import Start, scan

_UNSAFE = re.compile(rb"[^-/_.a-zA-Z0-9]|^\.|\.$|(?<=\.)\.")
_TOMBSTONE_HEADERS = ("KV-Operation", "Nats-Marker-Reason")


class Entry(Struct, frozen=True):
    """A value and the revision by which it can be replaced."""

    value: bytes
    revision: int


class _State(Struct):
    subjects: dict[str, int] | None = None


class _Info(Struct):
    state: _State
    total: int = 0


def safe(key: str) -> str:
    """Return a key as it may stand in a subject: whatever else than letters, digits and -/_. becomes =XX."""
    return _UNSAFE.sub(lambda found: b"=%02X" % found.group()[0], key.encode()).decode()


def unsafe(text: str) -> str:
    """Return the key that `safe` turned into this."""
    return unquote_to_bytes(text.replace("=", "%")).decode()


class Bucket:
    """One bucket. Reads are asked of the leader, so that what was written is seen."""

    def __init__(self, bus: Bus, spec: BucketSpec) -> None:
        self._bus = bus
        self.stream = f"KV_{spec.name}"
        self._prefix = f"$KV.{spec.name}."

    async def get(self, key: str) -> Entry | None:
        """Return the latest value; None when there is none, or it was deleted or has expired."""
        found = await wire.read(self._bus, self.stream, {"last_by_subj": self._subject(key)})
        if found is None or _is_tombstone(found):
            return None
        return Entry(found.body, found.seq)

    async def create(self, key: str, value: bytes, *, ttl_s: float = 0) -> int:
        """Store the first value of a key and return its revision; Conflict when there is one already."""
        try:
            return await self._store(key, value, 0, ttl_s)
        except Conflict:
            last = await wire.read(self._bus, self.stream, {"last_by_subj": self._subject(key)})
            if last is None or not _is_tombstone(last):
                raise
            return await self._store(key, value, last.seq, ttl_s)  # deleted by another tool: its trace is still there

    async def update(self, key: str, value: bytes, revision: int, *, ttl_s: float = 0) -> int:
        """Replace the value of this revision and return the new one; Conflict when it is no longer the latest."""
        return await self._store(key, value, revision, ttl_s)

    async def put(self, key: str, value: bytes, *, ttl_s: float = 0) -> int:
        """Store a value whatever was there and return its revision. `ttl_s` lets it expire, after whole seconds."""
        return await self._store(key, value, None, ttl_s)

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Remove a key with its history; with a revision, only what is not newer than that. No key is no error."""
        scope: dict[str, object] = {"filter": self._subject(key)}
        if revision is not None:
            scope["seq"] = revision + 1
        await self._bus.api(f"STREAM.PURGE.{self.stream}", scope)

    async def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with these tokens (`issue.` or `issue`), sorted; all without a prefix."""
        body = await self._bus.api(f"STREAM.INFO.{self.stream}", {"subjects_filter": self._under(prefix)})
        found = msgspec.json.decode(body, type=_Info).state.subjects or {}
        return sorted(unsafe(subject.removeprefix(self._prefix)) for subject in found)

    async def entries(self, prefix: str = "") -> dict[str, Entry]:
        """Return keys with their latest values."""
        return {
            unsafe(message.subject.removeprefix(self._prefix)): Entry(message.body, message.seq)
            async for message in scan(self._bus, self.stream, (self._under(prefix),), start=Start.LATEST)
            if not _is_tombstone(message)
        }

    def _subject(self, key: str) -> str:
        return self._prefix + safe(key)

    def _under(self, prefix: str) -> str:
        return f"{self._prefix}{safe(prefix.removesuffix('.'))}.>" if prefix else f"{self._prefix}>"

    async def _store(self, key: str, value: bytes, expected: int | None, ttl_s: float) -> int:
        headers: dict[str, str] = {}
        if expected is not None:
            headers[wire.EXPECTED_LAST] = str(expected)
        if ttl_s:
            headers[wire.TTL] = f"{math.ceil(ttl_s)}s"
        return (await wire.publish(self._bus, self._subject(key), value, headers)).seq


def _is_tombstone(message: wire.Message) -> bool:
    return any(name in message.headers for name in _TOMBSTONE_HEADERS)
