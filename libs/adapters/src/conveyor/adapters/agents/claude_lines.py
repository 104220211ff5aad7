"""The lines of Claude Code's stream-json that we read, each as little as we need (docs/protocols.md, Coding agents)."""

from typing import Any

from msgspec import Struct


class Head(Struct, frozen=True):
    """What tells lines apart; `type` is not always the first key."""

    type: str
    subtype: str = ""
    session_id: str = ""
    claude_code_version: str = ""
    """Told when a session begins."""


class TokenCount(Struct, frozen=True):
    """Tokens of one message; its output count is a placeholder while the message streams."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0


class Message(Struct, frozen=True):
    """One model answer; every content block is a line of its own with the same id and the same usage."""

    id: str
    usage: TokenCount | None = None


class AssistantLine(Struct, frozen=True):
    """The model said something."""

    message: Message


class RetryLine(Struct, frozen=True):
    """A call to the provider failed and is repeated; no status means no connection."""

    error_status: int | None = None
    error: str = ""


class LimitInfo(Struct, frozen=True):
    """A subscription's limit; `resetsAt` in epoch seconds."""

    status: str = ""
    resetsAt: float | None = None  # noqa: N815 - the provider's spelling


class LimitLine(Struct, frozen=True):
    """What the provider says of the subscription's limits."""

    rate_limit_info: LimitInfo


class ModelUsage(Struct, frozen=True):
    """What one model used, subagents included."""

    inputTokens: int = 0  # noqa: N815 - the provider's spelling
    outputTokens: int = 0  # noqa: N815 - as above
    cacheReadInputTokens: int = 0  # noqa: N815 - as above
    cacheCreationInputTokens: int = 0  # noqa: N815 - as above
    costUSD: float = 0.0  # noqa: N815 - as above


class ResultLine(Struct, frozen=True):
    """The end of a turn; a run may have several, the last one counts. `is_error` tells, `subtype` does not."""

    is_error: bool
    subtype: str = ""
    result: Any = None
    errors: Any = None
    api_error_status: int | None = None
    terminal_reason: str | None = None
    total_cost_usd: float = 0.0
    modelUsage: dict[str, ModelUsage] = {}  # noqa: N815 - the provider's spelling
    model_usage_since_last_result: dict[str, ModelUsage] | None = None
