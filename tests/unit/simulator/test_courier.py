"""The webhook courier and the loopback HTTP server under every simulator."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.simulator.delivery import Courier, Packed, Parcel, Policy
from conveyor.simulator.http_server import HttpServer

LONG_S = 0.7
"""A delay in which another parcel arrives even on a machine that is slow."""


class Receiver:
    """Takes webhooks and answers each with the next ordered status, 200 otherwise."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.statuses: list[int] = []
        self.server = HttpServer(Starlette(routes=[Route("/", self.take, methods=["POST"])]))

    async def take(self, request: Request) -> Response:
        self.bodies.append((await request.body()).decode())
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    def parcel(self, label: str) -> Parcel:
        return Parcel(label, self.server.url + "/", lambda: Packed(label.encode(), {}))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with made.server:
        yield made


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    async with Courier(Policy(attempts=3, retry_delay_s=0.001)) as made:
        yield made


async def test_parcels_arrive_in_order_and_are_recorded(courier: Courier, receiver: Receiver) -> None:
    for label in ("a", "b", "c"):
        courier.post(receiver.parcel(label))
    await courier.idle()
    assert receiver.bodies == ["a", "b", "c"]
    assert [(one.label, one.status, one.attempt) for one in courier.deliveries] == [
        ("a", 200, 1),
        ("b", 200, 1),
        ("c", 200, 1),
    ]
    assert courier.leftovers() == []


async def test_any_http_answer_ends_the_attempts(courier: Courier, receiver: Receiver) -> None:
    receiver.statuses = [500]
    courier.post(receiver.parcel("a"))
    await courier.idle()
    assert receiver.bodies == ["a"]
    assert courier.leftovers() == ["not taken: a: 500"]


async def test_unreachable_receiver_is_tried_again_until_attempts_end(courier: Courier, receiver: Receiver) -> None:
    gone: list[str] = []
    parcel = receiver.parcel("a")
    parcel.gave_up = lambda: gone.append("a")
    await receiver.server.stop()
    courier.post(parcel)
    await courier.idle()
    assert [one.outcome for one in courier.deliveries] == ["unreachable"] * 3
    assert [one.final for one in courier.deliveries] == [False, False, True]
    assert gone == ["a"]


async def test_broken_attempt_is_overtaken_by_the_next_parcel(receiver: Receiver) -> None:
    async with Courier(Policy(attempts=3, retry_delay_s=LONG_S)) as courier:
        courier.break_next(match="a")
        courier.post(receiver.parcel("a"))
        courier.post(receiver.parcel("b"))
        await courier.idle()
    assert receiver.bodies == ["b", "a"]


async def test_faults_strike_once_and_are_counted(courier: Courier, receiver: Receiver) -> None:
    courier.drop_next(match="b")
    courier.duplicate_next()
    courier.delay_next(LONG_S, match=lambda label: label == "c")
    for label in ("a", "b", "c", "d"):
        courier.post(receiver.parcel(label))
    await courier.idle()
    assert receiver.bodies == ["a", "a", "d", "c"]
    assert courier.struck == {"drop": 1, "duplicate": 1, "delay": 1}
    assert courier.leftovers() == []


async def test_fault_never_met_and_held_parcel_are_leftovers(courier: Courier, receiver: Receiver) -> None:
    courier.drop_next(2)
    courier.hold()
    courier.post(receiver.parcel("a"))
    assert courier.leftovers() == ["fault never met: drop the next 2", "still here: a"]


async def test_reordered_parcels_come_last_first(courier: Courier, receiver: Receiver) -> None:
    courier.reorder_next(3)
    for label in ("a", "b", "c", "d"):
        courier.post(receiver.parcel(label))
    await courier.idle()
    assert receiver.bodies == ["c", "b", "a", "d"]


async def test_held_parcels_are_packed_only_when_released(courier: Courier, receiver: Receiver) -> None:
    world = ["old"]
    courier.hold()
    courier.post(Parcel("a", receiver.server.url + "/", lambda: Packed(world[0].encode(), {})))
    await courier.idle()
    world[0] = "new"
    assert courier.release(reverse=True) == 1
    await courier.idle()
    assert receiver.bodies == ["new"]


async def test_a_bug_in_packing_is_told_to_who_waits(courier: Courier, receiver: Receiver) -> None:
    def bug() -> Packed:
        raise LookupError("no such issue")

    courier.post(Parcel("a", receiver.server.url, bug))
    with pytest.raises(LookupError):
        await courier.idle()


async def test_server_keeps_its_port_over_stop_and_start(receiver: Receiver) -> None:
    url = receiver.server.url
    await receiver.server.stop()
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
        await receiver.server.start()
        assert receiver.server.url == url
        assert (await client.post(url + "/", content=b"x")).status_code == 200
