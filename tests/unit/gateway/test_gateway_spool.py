"""The spool on a real disk: order, bounds, restarts, and what a crash or a bad disk leaves behind."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conveyor.contracts.errors import MessageError, SettingsError
from conveyor.gateway.spool import queue, segments
from conveyor.gateway.spool.queue import Spool, SpoolError
from conveyor.gateway.spool.record import Delivery, delivery_of, line_of
from conveyor.gateway.spool.segments import claim

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def delivery(number: int, size: int = 10) -> Delivery:
    body = b'{\n  "number": %d, "rest": "%s"\n}' % (number, b"x" * size)
    return Delivery(source="plane", headers={"x-plane-event": "issue"}, body=body, received_at=AT)


class Damage:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def opened(folder: Path, max_bytes: int = 1024 * 1024, damage: Damage | None = None) -> Spool:
    return Spool(folder, max_bytes, damage or Damage())


async def numbers(spool: Spool, count: int = 1000) -> list[bytes]:
    return [one.body[14:18].split(b",")[0] for one in await spool.first(count) if isinstance(one, Delivery)]


@pytest.mark.behaviour("GW-3")
async def test_deliveries_come_out_as_they_went_in_and_again_after_a_restart(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    await asyncio.gather(*(spool.append(delivery(number)) for number in range(20)))
    assert spool.depth == 20
    assert await spool.first(3) == [delivery(0), delivery(1), delivery(2)]
    later = opened(tmp_path / "s")
    assert (later.depth, later.size, later.oldest) == (spool.depth, spool.size, AT)
    assert later.filled.is_set()
    await later.append(delivery(20))
    assert await later.first(100) == [delivery(number) for number in range(21)]


@pytest.mark.behaviour("GW-3")
async def test_what_was_told_makes_room_and_an_empty_spool_leaves_no_files(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", max_bytes=4000)
    kept = 0
    while spool.size + len(line_of(delivery(kept, size=100))) <= 4000:
        await spool.append(delivery(kept, size=100))
        kept += 1
    with pytest.raises(SpoolError, match="full"):
        await spool.append(delivery(kept, size=100))
    assert spool.depth == kept
    assert spool.size <= 4000
    await spool.told(kept // 2)
    await spool.append(delivery(kept, size=100))
    assert opened(tmp_path / "s").depth >= spool.depth, "at worst something is told twice"
    await spool.told(spool.depth)
    assert (spool.depth, spool.size, spool.oldest, spool.filled.is_set()) == (0, 0, None, False)
    assert list((tmp_path / "s").iterdir()) == []
    await spool.append(delivery(7))
    assert await spool.first(1) == [delivery(7)]


@pytest.mark.behaviour("GW-3")
async def test_many_at_once_do_not_get_past_the_bound(tmp_path: Path) -> None:
    fits = 10
    spool = opened(tmp_path / "s", max_bytes=fits * len(line_of(delivery(10))))
    answers = await asyncio.gather(*(spool.append(delivery(n)) for n in range(10, 60)), return_exceptions=True)
    assert [isinstance(answer, SpoolError) for answer in answers] == [False] * fits + [True] * 40
    assert sum(file.stat().st_size for file in (tmp_path / "s").iterdir()) <= fits * len(line_of(delivery(10)))


@pytest.mark.behaviour("GW-3")
@pytest.mark.parametrize("cut", [1, 30, 100])
async def test_a_record_cut_off_by_a_crash_is_reported_and_costs_no_other(tmp_path: Path, cut: int) -> None:
    spool = opened(tmp_path / "s")
    for number in range(3):
        await spool.append(delivery(number))
    (file,) = (tmp_path / "s").iterdir()
    file.write_bytes(file.read_bytes()[:-cut])
    damage = Damage()
    later = opened(tmp_path / "s", damage=damage)
    assert await later.first(9) == [delivery(0), delivery(1)]
    assert damage.count == 1
    await later.append(delivery(3))
    assert await opened(tmp_path / "s").first(9) == [delivery(0), delivery(1), delivery(3)]


@pytest.mark.behaviour("GW-3")
async def test_a_record_that_went_bad_is_passed_over_wherever_it_lies(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    for number in range(3):
        await spool.append(delivery(number))
    (file,) = (tmp_path / "s").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    damage = Damage()
    assert await opened(tmp_path / "s", damage=damage).first(9) == [delivery(0), delivery(2)]
    first, bad, last = await spool.first(9)
    assert (first, last) == (delivery(0), delivery(2))
    assert isinstance(bad, MessageError)


@pytest.mark.behaviour("GW-3")
async def test_a_disk_that_refuses_is_no_promise_and_no_end(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    await spool.append(delivery(0))
    os.close(spool._segments._file)
    with pytest.raises(SpoolError, match="cannot be written"):
        await spool.append(delivery(1))
    await spool.append(delivery(2))
    assert await spool.first(9) == [delivery(0), delivery(2)]


@pytest.mark.behaviour("GW-3")
async def test_a_file_that_is_gone_holds_up_nothing_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a person removed it or the disk lost it: what lies in the next file must still be told."""
    monkeypatch.setattr(queue, "SEGMENT_BYTES", 1)
    spool = opened(tmp_path / "s")
    for number in range(3):
        await spool.append(delivery(number))
    sorted((tmp_path / "s").iterdir())[1].unlink()
    first, gone, last = await spool.first(9)
    assert (first, last) == (delivery(0), delivery(2))
    assert isinstance(gone, MessageError)
    await spool.told(3)
    assert (spool.depth, spool.size) == (0, 0)


async def test_a_disk_that_lost_a_file_keeps_no_gateway_from_starting(tmp_path: Path) -> None:
    await opened(tmp_path / "s").append(delivery(0))
    (tmp_path / "s" / "00000002.spool").symlink_to("/proc/self/mem")  # whose first bytes cannot be read: EIO
    damage = Damage()
    assert await opened(tmp_path / "s", damage=damage).first(9) == [delivery(0)]
    assert damage.count == 1


def test_a_file_that_may_not_be_read_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "s" / "00000001.spool").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"gateway\.spool_dir: cannot read .*00000001"):
        opened(tmp_path / "s")


@pytest.mark.behaviour("GW-3")
async def test_nothing_is_kept_in_a_file_whose_name_a_crash_could_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path / "s")

    def refuse(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(segments, "sync_folder", refuse)
        for number in range(2):
            with pytest.raises(SpoolError, match="cannot be written"):
                await spool.append(delivery(number))
    await spool.append(delivery(2))
    assert await opened(tmp_path / "s").first(9) == [delivery(2)]


@pytest.mark.behaviour("GW-3")
async def test_what_is_promised_is_synced_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fdatasync, list[int]()

    def noting(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        sync(file)

    monkeypatch.setattr(os, "fdatasync", noting)
    spool = opened(tmp_path / "s")
    for number in range(3):
        await spool.append(delivery(number))
        assert synced[-1] == spool.size, "all of it, before the promise"


@pytest.mark.behaviour("GW-3")
async def test_what_a_disk_did_not_sync_is_neither_promised_nor_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed sync left in a file is unknown to any later one: the next delivery goes into a new file."""

    def refuse(_file: int) -> None:
        raise OSError(28, "No space left on device")

    spool = opened(tmp_path / "s")
    await spool.append(delivery(0))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", refuse)
        with pytest.raises(SpoolError, match="No space left"):
            await spool.append(delivery(1))
    await spool.append(delivery(2))
    assert await spool.first(9) == await opened(tmp_path / "s").first(9) == [delivery(0), delivery(2)]
    assert len(list((tmp_path / "s").iterdir())) == 2


async def test_whoever_gave_up_waiting_hinders_nobody(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    first = asyncio.create_task(spool.append(delivery(0)))
    await asyncio.sleep(0)
    first.cancel()
    await spool.append(delivery(1))
    assert await spool.first(9) == [delivery(0), delivery(1)]


async def test_many_segments_are_told_in_order_while_more_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "SEGMENT_BYTES", 2000)
    spool, told = opened(tmp_path / "s"), []

    async def fill() -> None:
        for first in range(0, 200, 10):
            await asyncio.gather(*(spool.append(delivery(number)) for number in range(first, first + 10)))

    filling = asyncio.create_task(fill())
    while not filling.done() or spool.depth:
        await asyncio.sleep(0)
        some = await numbers(spool, 7)
        await spool.told(len(some))
        told.extend(some)
    assert told == [b"%d" % number for number in range(200)]
    assert spool.size == 0


async def test_large_deliveries_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred of a megabyte each would take the memory, and never be told within one timeout."""
    spool = opened(tmp_path / "s")
    for number, size in enumerate((10, 10, 500, 10, 2000, 10)):
        await spool.append(delivery(number, size=size))
    monkeypatch.setattr(queue, "READ_BYTES", len(line_of(delivery(2, size=500))) + 400)
    read = []
    while spool.depth:
        some = await spool.first(100)
        assert some
        read.append([one.body[14:15] for one in some if isinstance(one, Delivery)])
        await spool.told(len(some))
    assert [number for some in read for number in some] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [b"4"] in read
    assert len(read) > 2


def test_a_folder_belongs_to_one_gateway(tmp_path: Path) -> None:
    lock = claim(tmp_path / "spool")
    with pytest.raises(SettingsError, match="another gateway"):
        claim(tmp_path / "spool")
    os.close(lock)
    os.close(claim(tmp_path / "spool"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot write"):
        claim(tmp_path / "file" / "spool")


def test_a_line_is_a_record_or_it_is_not() -> None:
    line = line_of(delivery(1))
    assert delivery_of(line) == delivery(1)
    for wrong in (b"", b"\n", line[:-1], line[1:], b"0" * 8 + line[8:], b"00000000 \n"):
        with pytest.raises(MessageError):
            delivery_of(wrong)
