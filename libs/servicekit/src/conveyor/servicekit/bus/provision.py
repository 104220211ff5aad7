"""Creates, verifies and migrates the streams and buckets of `contracts.streams`; refuses a server that is too old.

Speaks JetStream's own JSON, because the library drops every setting it does not know, also on the way back.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.streams import BUCKETS, STREAMS, BucketSpec, StreamSpec
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import ApiError
from conveyor.servicekit.bus.version import require
from conveyor.servicekit.bus.wire import STREAM_NOT_FOUND

SECOND_NS = 1_000_000_000
Config = dict[str, Any]
_DEFAULT_WINDOW_S = 120


class _Api(msgspec.Struct):
    level: int | None = None


class _Account(msgspec.Struct):
    api: _Api = msgspec.field(default_factory=_Api)


class _Stream(msgspec.Struct):
    config: Config


class _Names(msgspec.Struct):
    streams: tuple[str, ...] | None = None


def stream_config(spec: StreamSpec, replicas: int) -> Config:
    """Return a stream's configuration as the server wants it."""
    return {
        "name": spec.name,
        "description": spec.description,
        "subjects": list(spec.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "old",  # the only one that schedules allow
        "num_replicas": replicas,
        "max_age": spec.max_age_s * SECOND_NS,
        "max_bytes": spec.max_bytes or -1,
        "duplicate_window": _window_s(spec.duplicate_window_s, spec.max_age_s) * SECOND_NS,
        "compression": "s2" if spec.compressed else "none",
        "allow_direct": True,
        **({"allow_msg_schedules": True} if spec.schedules else {}),
        **({"allow_atomic": True} if spec.batches else {}),
    }


def bucket_config(spec: BucketSpec, replicas: int) -> Config:
    """Return the configuration of the stream behind a bucket, as every NATS client lays one out."""
    return {
        "name": f"KV_{spec.name}",
        "description": spec.description,
        "subjects": [f"$KV.{spec.name}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": replicas,
        "max_age": spec.ttl_s * SECOND_NS,
        "max_msgs_per_subject": spec.history,
        "duplicate_window": _window_s(_DEFAULT_WINDOW_S, spec.ttl_s) * SECOND_NS,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_msg_ttl": True,
    }


async def provision(
    bus: Bus,
    replicas: int = 1,
    *,
    streams: Iterable[StreamSpec] = STREAMS,
    buckets: Iterable[BucketSpec] = BUCKETS,
) -> None:
    """Make every stream and bucket as specified; settings of an existing one that we do not know are kept.

    SettingsError for a server that is too old, PermanentError when a setting cannot be had. Safe to repeat, and safe
    when several services do it at once.
    """
    account = msgspec.json.decode(await bus.api("INFO"), type=_Account)
    require(bus.server_version, account.api.level)
    for config in (
        *(stream_config(spec, replicas) for spec in streams),
        *(bucket_config(spec, replicas) for spec in buckets),
    ):
        await _ensure(bus, config)


async def ready(bus: Bus) -> None:
    """Return if the bus can be worked with: connected and every stream there; TransientError says what is missing."""
    if not bus.is_connected:
        raise TransientError(f"not connected to NATS at {bus.settings.url}")
    names = msgspec.json.decode(await bus.api("STREAM.NAMES", timeout_s=2), type=_Names).streams or ()
    wanted = {*(spec.name for spec in STREAMS), *(f"KV_{spec.name}" for spec in BUCKETS)}
    if missing := sorted(wanted.difference(names)):
        raise TransientError(f"streams missing: {', '.join(missing)}")


async def _ensure(bus: Bus, wanted: Config) -> None:
    name = wanted["name"]
    existing = await _existing(bus, name)
    if existing is None:
        echoed = await _write(bus, f"STREAM.CREATE.{name}", wanted)
    elif differences(wanted, existing):
        echoed = await _write(bus, f"STREAM.UPDATE.{name}", {**existing, **wanted})
    else:
        return
    if ignored := differences(wanted, echoed):
        raise PermanentError(f"stream {name}: the server ignored what was asked: {'; '.join(ignored)}")


async def _existing(bus: Bus, name: str) -> Config | None:
    try:
        body = await bus.api(f"STREAM.INFO.{name}")
    except ApiError as error:
        if error.code == STREAM_NOT_FOUND:
            return None
        raise
    return msgspec.json.decode(body, type=_Stream).config


async def _write(bus: Bus, subject: str, config: Config) -> Config:
    try:
        body = await bus.api(subject, config, timeout_s=10)
    except ApiError as error:
        if error.status >= 500:
            raise
        raise PermanentError(f"stream {config['name']}: the server refuses its configuration: {error}") from error
    return msgspec.json.decode(body, type=_Stream).config


def differences(wanted: Config, found: Config) -> list[str]:
    """Return what of the wanted settings a configuration does not have; the server leaves zeros and defaults out."""
    return [
        f"{name} is {found.get(name)!r}, wanted {value!r}"
        for name, value in wanted.items()
        if found.get(name, _absent(name)) != value
    ]


def _absent(name: str) -> object:
    return {"compression": "none", "max_bytes": -1, "description": ""}.get(name, 0)


def _window_s(window_s: int, max_age_s: int) -> int:
    return min(window_s, max_age_s) if max_age_s else window_s
