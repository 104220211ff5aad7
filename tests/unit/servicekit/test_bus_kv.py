from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.contracts.streams import LOOKUP, RUNS, BucketSpec
from conveyor.servicekit.bus import Bucket, Bus, Conflict, provision, scan
from conveyor.servicekit.bus.kv import safe, unsafe


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_key_becomes_a_valid_subject_and_comes_back(key: str) -> None:
    text = safe(key)
    assert unsafe(text) == key
    assert all(token for token in text.split("."))
    assert text.isascii()
    assert not set(text) & set(" *>\r\n\t")


async def test_values_are_created_once_replaced_by_revision_and_deleted(bus: Bus) -> None:
    bucket = Bucket(bus, LOOKUP)
    assert await bucket.get("issue.1") is None
    revision = await bucket.create("issue.1", b"SHOP-1")
    with pytest.raises(Conflict):
        await bucket.create("issue.1", b"SHOP-2")
    entry = await bucket.get("issue.1")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"SHOP-1", revision)
    later = await bucket.update("issue.1", b"SHOP-3", revision)
    with pytest.raises(Conflict):
        await bucket.update("issue.1", b"SHOP-4", revision)
    await bucket.delete("issue.1", revision)  # no longer that revision: stays
    assert await bucket.get("issue.1") is not None
    await bucket.delete("issue.1", later)
    assert await bucket.get("issue.1") is None
    await bucket.delete("issue.1")
    assert await bucket.create("issue.1", b"again") > later


async def test_keys_are_listed_by_prefix_whatever_they_are_made_of(bus: Bus) -> None:
    bucket = Bucket(bus, LOOKUP)
    for key in ("issue.1", "issue.a b#ü:*", "commit.abc", "lonely"):
        await bucket.put(key, key.encode())
    assert await bucket.keys() == ["commit.abc", "issue.1", "issue.a b#ü:*", "lonely"]
    assert await bucket.keys("issue") == await bucket.keys("issue.") == ["issue.1", "issue.a b#ü:*"]
    assert {key: entry.value.decode() for key, entry in (await bucket.entries("commit")).items()} == {
        "commit.abc": "commit.abc"
    }
    assert await bucket.keys("nothing") == []
    assert await bucket.entries("nothing") == {}


async def test_a_key_deleted_with_the_nats_tool_is_gone_and_can_be_created_again(bus: Bus) -> None:
    bucket = Bucket(bus, RUNS)
    await bucket.put("run-1", b"x")
    await bus.request("$KV.runs.run-1", b"", {"KV-Operation": "DEL"})
    assert await bucket.get("run-1") is None
    assert await bucket.entries() == {}
    await bucket.create("run-1", b"new")
    found = await bucket.get("run-1")
    assert found is not None
    assert found.value == b"new"


async def test_a_value_with_a_time_to_live_expires_by_itself(bus: Bus, eventually: Any) -> None:
    bucket = Bucket(bus, LOOKUP)
    await bucket.put("brief", b"x", ttl_s=1)
    await bucket.put("lasting", b"x")
    assert await bucket.get("brief") is not None

    async def is_gone() -> bool:
        return await bucket.get("brief") is None

    await eventually(is_gone, timeout_s=5)
    assert await bucket.keys() == ["lasting"]
    await bucket.create("brief", b"y")


async def test_a_time_to_live_is_never_shorter_than_asked(bus: Bus) -> None:
    """Who counts 2.4 s by its own clock must not lose it to another after 2."""
    await Bucket(bus, LOOKUP).put("brief", b"x", ttl_s=2.4)
    (found,) = [message async for message in scan(bus, "KV_lookup", (">",))]
    assert found.headers["Nats-TTL"] == "3s"


async def test_a_bucket_whose_entries_expire_shows_only_who_is_there(bus: Bus, eventually: Any) -> None:
    spec = BucketSpec(name="presence", description="expires", ttl_s=1)
    await provision(bus, streams=(), buckets=(spec,))
    bucket = Bucket(bus, spec)
    await bucket.put("runner-1", b"x")
    assert await bucket.keys() == ["runner-1"]

    async def is_empty() -> bool:
        return await bucket.keys() == []

    await eventually(is_empty, timeout_s=5)
