"""The output formats by the names used in the configuration; a new CLI is a new line here."""

from collections.abc import Callable, Mapping

from conveyor.adapters.agents.claude_stream_json import ClaudeStreamJson
from conveyor.adapters.agents.codex_jsonl import CodexJsonl
from conveyor.adapters.agents.gemini_stream_json import GeminiStreamJson
from conveyor.adapters.agents.opencode_json import OpencodeJson
from conveyor.adapters.agents.report import Parser
from conveyor.adapters.agents.text import PlainText
from conveyor.contracts.errors import SettingsError

FORMATS: Mapping[str, Callable[[], Parser]] = {
    "claude-stream-json": ClaudeStreamJson,
    "codex-jsonl": CodexJsonl,
    "gemini-stream-json": GeminiStreamJson,
    "opencode-json": OpencodeJson,
    "text": PlainText,
}


def parser_for(name: str) -> Parser:
    """Return a fresh parser for one run; SettingsError for a name that is none."""
    if name not in FORMATS:
        raise SettingsError(f"agent output format {name!r} is not known; expected one of {', '.join(sorted(FORMATS))}")
    return FORMATS[name]()
