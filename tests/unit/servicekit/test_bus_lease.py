import asyncio
from typing import Any

import pytest

from conveyor.contracts.errors import TransientError
from conveyor.contracts.streams import LEASES
from conveyor.servicekit.bus import Bucket, Bus, Lease, connect, held_until_done, leader, provision
from conveyor.servicekit.ending import cancel_until_ended
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings


async def test_of_two_contenders_one_owns_and_the_other_takes_over_when_it_falls_silent(
    bus: Bus, eventually: Any
) -> None:
    bucket = Bucket(bus, LEASES)
    first, second = Lease(bucket, "merge/acme/shop", "a", 1), Lease(bucket, "merge/acme/shop", "b", 1)
    token = await first.acquire()
    assert token is not None
    assert await second.acquire() is None
    assert await second.holder() == "a"
    for _ in range(3):
        await asyncio.sleep(0.5)  # waits: longer in all than the lease lives without renewal
        assert await first.renew()
    assert await second.acquire() is None
    later = await eventually(second.acquire, timeout_s=5)
    assert later > token
    assert not first.is_held
    assert not await first.renew()
    await first.release()
    assert await second.holder() == "b"


async def test_a_released_lease_is_free_at_once_and_a_seized_one_is_lost_to_its_owner(bus: Bus) -> None:
    bucket = Bucket(bus, LEASES)
    first, second = Lease(bucket, "x", "a", 30), Lease(bucket, "x", "b", 30)
    await first.acquire()
    await first.release()
    assert await second.acquire() is not None
    await first.seize()
    assert await second.holder() is None
    assert not await second.renew()


class Lossy(Bucket):
    """A bucket that stores a renewal whose answer gets lost."""

    loses = 0

    async def update(self, key: str, value: bytes, revision: int, *, ttl_s: float = 0) -> int:
        stored = await super().update(key, value, revision, ttl_s=ttl_s)
        if self.loses:
            self.loses -= 1
            raise TransientError("no answer")
        return stored


async def test_a_renewal_whose_answer_was_lost_is_still_ours(bus: Bus) -> None:
    bucket = Lossy(bus, LEASES)
    lease = Lease(bucket, "x", "a", 30)
    token = await lease.acquire()
    for _ in range(2):
        bucket.loses = 1
        with pytest.raises(TransientError):
            await lease.renew()
        assert await lease.renew()
        assert await lease.renew()
    await lease.seize()
    assert await Lease(bucket, "x", "a", 30).acquire() != token
    assert not await lease.renew(), "another's, though under the same name"


async def test_a_lease_that_cannot_be_given_back_fails_nobody_and_expires(nats: NatsProcess, bus: Bus) -> None:
    cut_off = await connect(NatsSettings(url=nats.url), name="cut-off")
    lease = Lease(Bucket(cut_off, LEASES), "x", "a", 30)
    await lease.acquire()
    await cut_off.close()
    with pytest.raises(TransientError):
        await Lease(Bucket(cut_off, LEASES), "x", "a", 30).holder()
    await lease.give_up()
    assert not lease.is_held
    assert await Lease(Bucket(bus, LEASES), "x", "b", 30).holder() == "a"


@pytest.mark.behaviour("SE-17")
async def test_who_is_cut_off_stops_before_its_lease_ends(own_nats: NatsProcess) -> None:
    bus = await connect(NatsSettings(url=own_nats.url), name="cut-off")
    await provision(bus)
    lease = Lease(Bucket(bus, LEASES), "x", "a", 2)
    await lease.acquire()
    work = asyncio.ensure_future(asyncio.Event().wait())
    await own_nats.kill()
    assert not await held_until_done(lease, work)
    assert lease.is_held, "nobody else can have it yet"
    await cancel_until_ended(work)
    await bus.close()


async def test_one_leads_and_a_standby_takes_over_when_the_leader_is_cut_off(
    nats: NatsProcess, eventually: Any
) -> None:
    settings = NatsSettings(url=nats.url)
    buses = [await connect(settings, name=name) for name in "ab"]
    await provision(buses[0])
    working: list[str] = []
    both: list[int] = []
    stopping = asyncio.Event()

    def work_of(name: str) -> Any:
        async def work(_token: int) -> None:
            working.append(name)
            both.append(len(working))
            try:
                await stopping.wait()
            finally:
                working.remove(name)

        return work

    leading = [
        asyncio.create_task(leader(Lease(Bucket(bus, LEASES), "reconciler", name, 1), work_of(name), stopping=stopping))
        for bus, name in zip(buses, "ab", strict=True)
    ]
    (owner,) = await eventually(lambda: list(working))
    lost = "ab".index(owner)
    await buses[lost].close()
    other = "ab"[1 - lost]
    await eventually(lambda: working == [other], timeout_s=8)
    assert max(both) == 1
    stopping.set()
    await asyncio.gather(*leading)
    assert working == []
    await buses[1 - lost].close()
