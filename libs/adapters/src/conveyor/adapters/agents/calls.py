"""The tool call that a line of an agent's output tells of, whichever agent it is: to notice who goes in circles."""

from typing import Any

import msgspec
from msgspec import Struct

from conveyor.adapters.agents.json_lines import UNREADABLE

_MARKS = (b'"tool_use"', b'"command_execution"')
_LONGEST = 65_536
"""A longer line carries a whole file and is not read twice for this."""


class _Part(Struct, frozen=True):
    type: str = ""
    name: str = ""
    input: Any = None
    tool: str = ""
    state: dict[str, Any] = {}


class _Message(Struct, frozen=True):
    content: Any = None


class _Item(Struct, frozen=True):
    type: str = ""
    command: str = ""


class _Line(Struct, frozen=True):
    type: str = ""
    message: _Message | str | None = None
    """Claude Code."""
    item: _Item | None = None
    """Codex."""
    part: _Part | None = None
    """opencode."""
    tool_name: str = ""
    """Gemini."""
    parameters: Any = None


def call_in(line: bytes) -> str:
    """Return the call a line tells of, the same text for the same call; empty for a line that tells of none."""
    if len(line) > _LONGEST or not any(mark in line for mark in _MARKS):
        return ""
    try:
        found = msgspec.json.decode(line, type=_Line)
        return _call(found)
    except UNREADABLE:
        return ""


def _call(line: _Line) -> str:
    if line.type == "assistant" and isinstance(line.message, _Message):
        return "".join(_told(part.name, part.input) for part in _parts(line.message.content))
    if line.type == "item.started" and line.item and line.item.type == "command_execution":
        return _told("command", line.item.command)
    if line.type == "tool_use" and line.part:
        return _told(line.part.tool, line.part.state.get("input"))
    return _told(line.tool_name, line.parameters) if line.type == "tool_use" else ""


def _parts(content: Any) -> list[_Part]:
    if not isinstance(content, list):
        return []
    return [part for part in msgspec.convert(content, list[_Part]) if part.type == "tool_use"]


def _told(name: str, arguments: Any) -> str:
    return f"{name} {msgspec.json.encode(arguments, order='deterministic').decode()}"
