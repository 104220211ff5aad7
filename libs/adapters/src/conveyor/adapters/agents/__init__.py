"""What agent CLIs print, read while it comes: one parser a format, all with the same few answers."""

from conveyor.adapters.agents.calls import call_in
from conveyor.adapters.agents.claude_stream_json import ClaudeStreamJson
from conveyor.adapters.agents.registry import FORMATS, parser_for
from conveyor.adapters.agents.report import AgentReport, Parser
from conveyor.adapters.agents.text import PlainText

__all__ = ["FORMATS", "AgentReport", "ClaudeStreamJson", "Parser", "PlainText", "call_in", "parser_for"]
