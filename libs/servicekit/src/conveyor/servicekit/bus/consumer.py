"""Durable consumers: made as specified, settings of an existing one that we do not know are kept."""

from typing import Any

import msgspec
from msgspec import Struct, field

from conveyor.contracts.errors import PermanentError
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import ApiError
from conveyor.servicekit.bus.provision import SECOND_NS, differences
from conveyor.servicekit.bus.wire import CONSUMER_NOT_FOUND

_SERVER_TROUBLE = 500
_NOT_FOUND = 404
_TRIES = 3
"""nats-server 2.15.1 answers the first update of a consumer after its own start with the old configuration."""


class ConsumerSpec(Struct, frozen=True, kw_only=True):
    """A durable queue on a stream, shared by everybody who consumes under the same name."""

    stream: str
    durable: str
    subjects: tuple[str, ...]
    ack_wait_s: float = 30
    """How long the server waits for a sign of life before it delivers again."""
    max_ack_pending: int = 1000
    """How many messages may be at work at once, over all who share the consumer."""
    max_deliver: int = -1


class _Floor(Struct):
    stream_seq: int = 0


class _Info(Struct):
    config: dict[str, Any]
    ack_floor: _Floor = field(default_factory=_Floor)


def consumer_config(spec: ConsumerSpec) -> dict[str, Any]:
    """Return a consumer's configuration as the server wants it."""
    return {
        "durable_name": spec.durable,
        "name": spec.durable,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "filter_subjects": sorted(spec.subjects),
        "ack_wait": int(spec.ack_wait_s * SECOND_NS),
        "max_ack_pending": spec.max_ack_pending,
        "max_deliver": spec.max_deliver,
    }


async def ensure_consumer(bus: Bus, spec: ConsumerSpec) -> str:
    """Make or update the consumer and return its name; PermanentError when the server refuses its configuration."""
    wanted = consumer_config(spec)
    ignored: list[str] = []
    for _ in range(_TRIES):
        existing = await _existing(bus, spec)
        if existing is not None and not differences(wanted, existing):
            return spec.durable
        ignored = await _ask_for(bus, spec, wanted, existing)
        if not ignored:
            return spec.durable
    raise PermanentError(f"consumer {spec.durable}: the server ignored what was asked: {'; '.join(ignored)}")


async def _ask_for(bus: Bus, spec: ConsumerSpec, wanted: dict[str, Any], existing: dict[str, Any] | None) -> list[str]:
    """Make or update it and return what the server ignored."""
    body = {"stream_name": spec.stream, "config": {**(existing or {}), **wanted}}
    try:
        answer = await bus.api(f"CONSUMER.CREATE.{spec.stream}.{spec.durable}", body)
    except ApiError as error:
        if error.status in (_NOT_FOUND, *range(_SERVER_TROUBLE, _SERVER_TROUBLE + 100)):
            raise
        raise PermanentError(f"consumer {spec.durable} of {spec.stream}: {error}") from error
    return differences(wanted, msgspec.json.decode(answer, type=_Info).config)


async def _existing(bus: Bus, spec: ConsumerSpec) -> dict[str, Any] | None:
    try:
        body = await bus.api(f"CONSUMER.INFO.{spec.stream}.{spec.durable}")
    except ApiError as error:
        if error.code == CONSUMER_NOT_FOUND:
            return None
        raise
    found = msgspec.json.decode(body, type=_Info).config
    if single := found.pop("filter_subject", None):
        found["filter_subjects"] = [single]
    found["filter_subjects"] = sorted(found.get("filter_subjects", ()))
    return found


async def acknowledged_up_to(bus: Bus, stream: str, durable: str) -> int:
    """Return the sequence up to which a consumer has dealt with every message of a stream."""
    body = await bus.api(f"CONSUMER.INFO.{stream}.{durable}")
    return msgspec.json.decode(body, type=_Info).ack_floor.stream_seq
