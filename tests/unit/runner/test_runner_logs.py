"""What an agent prints reaches the log in order, without secrets, whatever the stream does."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.contracts.errors import TransientError
from conveyor.runner.logs import BUFFER_BYTES, CHUNK_BYTES, LogShipper, Masker
from conveyor.servicekit.clock import SystemClock


class Stream:
    def __init__(self, failures: int = 0) -> None:
        self.chunks: list[bytes] = []
        self.failures = failures
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def append(self, _subject: str, chunk: bytes) -> None:
        self.asked.set()
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise TransientError("away")
        self.chunks.append(chunk)


WORDS = st.sampled_from(["secret-1", "secret-1-long", "ababab", "se", "ab", "x", "\n"])


@pytest.mark.behaviour("RU-4")
@given(st.lists(st.integers(1, 7), max_size=20), st.lists(WORDS))
def test_secrets_are_masked_however_the_bytes_are_cut(cuts: list[int], words: list[str]) -> None:
    secrets = ["secret-1", "secret-1-long", "ababab", "short"]
    text = "".join(words).encode()
    whole = Masker(secrets)
    masker, shown, rest = Masker(secrets), b"", text
    for cut in cuts:
        shown += masker.feed(rest[:cut])
        rest = rest[cut:]
    shown += masker.feed(rest) + masker.close()
    assert shown == whole.feed(text) + whole.close()
    assert b"secret-1" not in shown
    assert b"ababab" not in shown
    assert shown.count(b"x") == text.count(b"x")


async def test_chunks_stay_small_and_nothing_is_lost() -> None:
    stream = Stream()
    async with LogShipper(stream, "log.x", (), SystemClock()) as shipper:
        await shipper.write(b"a" * (3 * CHUNK_BYTES))
        await shipper.write(b"b")
    assert b"".join(stream.chunks) == b"a" * (3 * CHUNK_BYTES) + b"b"
    assert max(len(chunk) for chunk in stream.chunks) <= CHUNK_BYTES


async def test_a_quiet_line_is_there_within_a_moment(eventually: Any) -> None:
    stream = Stream()
    async with LogShipper(stream, "log.x", (), SystemClock()) as shipper:
        await shipper.write(b"hello\n")
        await eventually(lambda: stream.chunks, timeout_s=2)
    assert stream.chunks == [b"hello\n"]


async def test_a_chunk_that_was_not_taken_is_sent_again() -> None:
    stream = Stream(failures=2)
    async with LogShipper(stream, "log.x", (), SystemClock()) as shipper:
        await shipper.write(b"hello\n")
    assert stream.chunks == [b"hello\n"]


async def test_a_writer_waits_while_the_stream_is_slow(eventually: Any) -> None:
    """Memory stays bounded: the agent is held back instead."""
    stream = Stream()
    stream.open.clear()
    async with LogShipper(stream, "log.x", (), SystemClock()) as shipper:
        await shipper.write(b"x" * (BUFFER_BYTES + 1))
        writing = asyncio.create_task(shipper.write(b"end"))
        await asyncio.sleep(0)
        assert not writing.done()
        stream.open.set()
        async with asyncio.timeout(5):
            await writing
    assert sum(map(len, stream.chunks)) == BUFFER_BYTES + 1 + len("end")


async def test_a_close_that_is_cancelled_leaves_nobody_shipping() -> None:
    stream = Stream()
    stream.open.clear()
    before = asyncio.all_tasks()

    async def run() -> None:
        async with LogShipper(stream, "log.x", (), SystemClock()) as shipper:
            await shipper.write(b"x" * CHUNK_BYTES)

    running = asyncio.create_task(run())
    async with asyncio.timeout(5):
        await stream.asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before
