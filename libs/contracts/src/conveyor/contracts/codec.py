"""Messages to bytes and back: JSON with a type and a version, old versions brought up to date on the way in."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from conveyor.contracts import commands, events
from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.errors import MessageError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.transition import TaskRecord

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: dict[tuple[str, int], Upcast] = {}
"""(name of a type, old version) -> what makes the next version of its body. Append-only, as the golden messages are."""


class Head(Struct):
    """The two fields that say how to read the rest."""

    type: str
    v: int = 1


def _types_of(module: Any, abstract: type[Struct]) -> dict[str, type[Struct]]:
    return {
        name: found
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, abstract) and found is not abstract
    }


_EVENTS = _types_of(events, events.Event)
_COMMANDS = _types_of(commands, commands.Command)
TYPES: dict[str, type[Struct]] = {**_EVENTS, **_COMMANDS, "TaskRecord": TaskRecord}
"""Every message type by the name it has on the wire."""

_UNREADABLE = (msgspec.MsgspecError, RecursionError)
"""What the decoder raises; the second for brackets within brackets within brackets."""
_head = msgspec.json.Decoder(Head)
_raw = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()
_decoders: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}


def current_version(name: str) -> int:
    """Return the version this code writes for a message type.

    `v` has a default factory and not a default, so that `omit_defaults` never leaves it out of a message.
    """
    (version,) = (field for field in msgspec.structs.fields(TYPES[name]) if field.name == "v")
    return int(version.default_factory())


_VERSIONS = {name: current_version(name) for name in TYPES}


def encode(message: AnyEvent | AnyCommand | TaskRecord) -> bytes:
    """Return a message as JSON, its type first."""
    return _encoder.encode(message)


def headers(message: AnyEvent | AnyCommand | TaskRecord) -> dict[str, str]:
    """Return the headers that let people and tools see what a message is about without reading its body."""
    if isinstance(message, TaskRecord):
        project, key, trace_id = message.task.project, message.task.key, message.event.trace_id
    else:
        project, key, trace_id = message.project, message.key, message.trace_id
    return {
        "Conveyor-Task": f"{project}/{key}",
        "Conveyor-Trace": trace_id,
        "Conveyor-Type": type(message).__name__,
    }


def decode_event(body: bytes) -> AnyEvent:
    """Return the event in these bytes; MessageError says what is wrong with any that hold none."""
    return _decode(body, _EVENTS, "an event")  # type: ignore[no-any-return] # the table holds events only


def decode_command(body: bytes) -> AnyCommand:
    """Return the command in these bytes; MessageError says what is wrong with any that hold none."""
    return _decode(body, _COMMANDS, "a command")  # type: ignore[no-any-return] # the table holds commands only


def decode_record(body: bytes) -> TaskRecord:
    """Return the task record in these bytes; MessageError says what is wrong with any that hold none."""
    return _decode(body, {"TaskRecord": TaskRecord}, "a task record")  # type: ignore[no-any-return] # one entry


def _decode(body: bytes, known: dict[str, type[Struct]], what: str) -> Any:
    try:
        head = _head.decode(body)
    except _UNREADABLE as error:
        raise MessageError(f"expected {what}: a JSON object with a type and a version, but {error}") from error
    if head.type not in known:
        raise MessageError(f"expected {what}, but its type is {head.type!r}; known: {', '.join(sorted(known))}")
    if head.v > _VERSIONS[head.type]:
        raise MessageError(
            f"{head.type} has version {head.v}, this service reads up to {_VERSIONS[head.type]}: upgrade this service"
        )
    try:
        if head.v < _VERSIONS[head.type]:
            return msgspec.convert(upcast(_raw.decode(body)), known[head.type])
        return _decoders[head.type].decode(body)
    except _UNREADABLE as error:
        raise MessageError(f"{head.type} version {head.v} has the wrong shape: {error}") from error


def upcast(body: dict[str, Any]) -> dict[str, Any]:
    """Bring a message's body to the current version, step by step; MessageError when a step is not known."""
    name = body["type"]
    while (version := int(body.get("v", 1))) < _VERSIONS[name]:
        step = UPCASTS.get((name, version))
        if step is None:
            raise MessageError(f"{name} version {version} is no longer readable: no step to version {version + 1}")
        body = {**step(body), "v": version + 1}
    return body
