"""What the scripted agent prints: lines as Claude Code's stream-json, or plain text."""

import json
import sys
import uuid
from typing import Any, Literal

Format = Literal["stream-json", "text"]
MODEL = "scripted-1"
INPUT_TOKENS, OUTPUT_TOKENS, COST_USD = 1000, 100, 0.01212


class Speech:
    """Prints a run's story to stdout; each line is flushed, as a reader may be waiting for it."""

    def __init__(self, form: Format, session_id: str = "") -> None:
        self._form = form
        self._session_id = session_id or str(uuid.uuid4())
        self._turns = 0

    def init(self, cwd: str) -> None:
        """Say that the session begins."""
        self._event(
            {
                "type": "system",
                "subtype": "init",
                "cwd": cwd,
                "tools": ["Bash", "Edit", "Read", "Write"],
                "mcp_servers": [],
                "model": MODEL,
                "permissionMode": "acceptEdits",
                "apiKeySource": "none",
                "claude_code_version": "2.1.328",
            }
        )

    def say(self, text: str) -> None:
        """Say something, as one turn."""
        self._turns += 1
        if self._form == "text":
            _line(text)
            return
        self._event(self._assistant([{"type": "text", "text": text}], MODEL))

    def tool(self, name: str, **arguments: Any) -> None:
        """Tell that a tool is used."""
        if self._form == "text":
            _line(f"{name}: {', '.join(str(value) for value in arguments.values())[:200]}")
            return
        use = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:20]}", "name": name, "input": arguments}
        self._event(self._assistant([use], MODEL))

    def retry(self, attempt: int, delay_ms: int, error: str, status: int) -> None:
        """Tell that the provider refused and when it will be asked again."""
        event = {"type": "system", "subtype": "api_retry", "attempt": attempt, "max_retries": 10}
        self._event(event | {"retry_delay_ms": delay_ms, "error_status": status, "error": error})

    def limit_event(self, resets_at: int) -> None:
        """Tell the reset time (seconds since 1970) as an account with a subscription hears it."""
        info = {"status": "rejected", "resetsAt": resets_at, "rateLimitType": "five_hour", "utilization": 1.0}
        self._event({"type": "rate_limit_event", "rate_limit_info": info})

    def result(self, text: str) -> None:
        """End well."""
        usage = {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 300,
            "output_tokens": OUTPUT_TOKENS,
        }
        per_model = {"inputTokens": INPUT_TOKENS, "outputTokens": OUTPUT_TOKENS, "costUSD": COST_USD}
        body = {"subtype": "success", "is_error": False, "result": text, "terminal_reason": "completed"}
        self._finish(body | {"total_cost_usd": COST_USD, "usage": usage, "modelUsage": {MODEL: per_model}}, text)

    def error(self, text: str, *, status: int | None = None, reason: str = "api_error", kind: str = "") -> None:
        """End badly: an API error says `success` in its subtype and means `is_error`."""
        if self._form != "text":
            said = self._assistant([{"type": "text", "text": text}], "<synthetic>")
            marks = {"is_api_error_message": True, "api_error_status": status, "error": kind or "unknown"}
            self._event(said | marks)
        usage = {"input_tokens": 0, "output_tokens": 0}
        body = {"subtype": "success", "is_error": True, "result": text, "terminal_reason": reason}
        self._finish(body | {"api_error_status": status, "total_cost_usd": 0, "usage": usage, "modelUsage": {}}, text)

    def _finish(self, body: dict[str, Any], text: str) -> None:
        if self._form == "text":
            _line(text)
            return
        tail = {"permission_denials": [], "num_turns": self._turns, "duration_ms": 1, "duration_api_ms": 1}
        # The real one puts `type` last but one, too: nothing may rely on it coming first.
        self._event(body | tail | {"stop_reason": "end_turn", "type": "result", "result_index": 0})

    def _assistant(self, content: list[dict[str, Any]], model: str) -> dict[str, Any]:
        # Output tokens are a placeholder here, as in the real stream: only the result counts.
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
        message = {
            "id": f"msg_{uuid.uuid4().hex[:20]}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": None,
            "usage": usage,
        }
        return {"type": "assistant", "message": message, "parent_tool_use_id": None}

    def _event(self, event: dict[str, Any]) -> None:
        if self._form == "stream-json":
            _line(json.dumps(event | {"session_id": self._session_id, "uuid": str(uuid.uuid4())}))


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
