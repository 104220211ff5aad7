from typing import Any

import msgspec
import pytest

from conveyor.contracts.errors import PermanentError, SettingsError, TransientError
from conveyor.contracts.streams import BUCKETS, EVENTS, LOGS, RUNNERS, STREAMS, StreamSpec
from conveyor.servicekit.bus import Bus, connect, provision, ready
from conveyor.servicekit.bus.provision import stream_config
from conveyor.servicekit.bus.version import require
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings


async def config_of(bus: Bus, stream: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await bus.api(f"STREAM.INFO.{stream}"))["config"]
    return found


@pytest.mark.parametrize(
    ("version", "api_level"),
    [("2.10.26", None), ("2.11.11", 1), ("2.12.0", 2), ("2.12.8", 3), ("2.13.0", 3), ("2.14.3", 4), ("1.9", 9)],
)
def test_an_old_server_is_refused_by_name_with_what_is_needed(version: str, api_level: int | None) -> None:
    with pytest.raises(SettingsError) as caught:
        require(version, api_level)
    assert f"nats-server {version}" in str(caught.value)
    assert "2.12.14" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "api_level"), [("2.12.14", 3), ("2.14.4", 4), ("2.15.1", 5), ("2.16.0-dev", 5), ("3.0.0", 7)]
)
def test_a_recent_server_will_do(version: str, api_level: int) -> None:
    require(version, api_level)


async def test_a_server_that_speaks_a_lower_api_level_than_its_version_promises_is_refused() -> None:
    with pytest.raises(SettingsError, match="API level 2"):
        require("2.15.1", 2)


async def test_everything_of_the_contracts_is_made_and_a_second_time_changes_nothing(bus: Bus) -> None:
    await ready(bus)
    before = {spec.name: await config_of(bus, spec.name) for spec in STREAMS}
    await provision(bus)
    assert {spec.name: await config_of(bus, spec.name) for spec in STREAMS} == before
    events = before[EVENTS.name]
    assert events["allow_msg_schedules"] is True
    assert events["duplicate_window"] == 7 * 86_400 * 1_000_000_000
    assert before[LOGS.name]["compression"] == "s2"
    runners = await config_of(bus, f"KV_{RUNNERS.name}")
    assert runners["max_age"] == runners["duplicate_window"] == 30 * 1_000_000_000
    assert len(BUCKETS) + len(STREAMS) == len(msgspec.json.decode(await bus.api("STREAM.NAMES"))["streams"])


async def test_a_changed_stream_is_migrated_and_keeps_messages_and_settings_unknown_to_us(bus: Bus) -> None:
    old = StreamSpec(name="OLD", subjects=("old.>",), description="before", max_age_s=60)
    await provision(bus, streams=(old,), buckets=())
    config = await config_of(bus, "OLD")
    await bus.api(
        "STREAM.UPDATE.OLD",
        {
            **config,
            "metadata": {**config.get("metadata", {}), "owner": "somebody"},
            "allow_msg_counter": False,
            "max_msg_size": 5000,
            "allow_batched": True,
        },
    )
    await bus.request("old.1", b"kept")
    new = StreamSpec(name="OLD", subjects=("old.>", "older.>"), description="after", max_age_s=120, schedules=True)
    await provision(bus, streams=(new,), buckets=())
    found = await config_of(bus, "OLD")
    assert found["metadata"]["owner"] == "somebody"
    assert found["max_msg_size"] == 5000
    assert found["allow_batched"] is True
    assert found["subjects"] == ["old.>", "older.>"]
    assert found["description"] == "after"
    assert found["max_age"] == 120 * 1_000_000_000
    assert msgspec.json.decode(await bus.api("STREAM.INFO.OLD"))["state"]["messages"] == 1


async def test_what_the_server_refuses_is_told_as_permanent_with_the_stream_named(bus: Bus) -> None:
    clash = StreamSpec(name="CLASH", subjects=("event.shop.>",), description="overlaps EVENTS")
    with pytest.raises(PermanentError, match="stream CLASH: the server refuses"):
        await provision(bus, streams=(clash,), buckets=())
    assert stream_config(clash, 3)["num_replicas"] == 3


async def test_ready_says_what_is_missing(nats: NatsProcess) -> None:
    connection = await connect(NatsSettings(url=nats.url), name="test")
    with pytest.raises(TransientError, match=r"streams missing: COMMANDS, DEAD, EVENTS, .*KV_lookup"):
        await ready(connection)
    await connection.close()
    with pytest.raises(TransientError, match="not connected"):
        await ready(connection)
