"""Every message that was ever written can still be read."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conveyor.contracts import codec
from tests.contract import golden_messages

GOLDEN = sorted(golden_messages.FOLDER.glob("*.json"))


def decode(body: bytes) -> Any:
    """The message in these bytes, whichever of the three families it belongs to."""
    name = json.loads(body)["type"]
    if name == "TaskRecord":
        return codec.decode_record(body)
    return codec.decode_command(body) if name in codec._COMMANDS else codec.decode_event(body)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_message_is_still_readable(path: Path) -> None:
    message = decode(path.read_bytes())
    name, _, version = path.stem.partition(".v")
    assert type(message) is codec.TYPES[name]
    if int(version) == codec.current_version(name):
        assert json.loads(codec.encode(message)) == json.loads(path.read_bytes()), "it is written differently now"


def test_every_type_has_a_golden_message_of_its_present_version() -> None:
    wanted = {golden_messages.path_of(name, codec.current_version(name)) for name in codec.TYPES}
    assert wanted <= set(GOLDEN), "run: python -m tests.contract.golden_messages"


def test_no_golden_message_is_of_a_type_nobody_knows() -> None:
    """A type that was dropped still lies in streams for as long as they keep it."""
    assert {path.stem.partition(".v")[0] for path in GOLDEN} <= set(codec.TYPES)


@pytest.mark.parametrize("name", sorted(codec.TYPES))
def test_a_field_added_by_a_newer_service_is_skipped(name: str) -> None:
    """Expand, migrate, contract: readers of today meet writers of tomorrow."""
    message = golden_messages.sample(codec.TYPES[name])
    body = msgspec.json.decode(codec.encode(message)) | {"added_later": {"x": [1]}}
    assert decode(msgspec.json.encode(body)) == message
