"""Whatever an agent prints, reading it never raises: a run has exactly one outcome, and the reader may not lose it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.adapters.agents import call_in, parser_for
from conveyor.adapters.agents.registry import FORMATS
from conveyor.adapters.agents.troubles import LONGEST_WAIT_S, wait_s

DEEP = b"[" * 30_000
LINES = [
    b'{"type":"x","deep":' + DEEP,
    b'{"type":"result","is_error":false,"result":' + DEEP + b"]" * 30_000 + b"}",
    b'{"type":"tool_use","tool_name":"t","parameters":' + DEEP + b"]" * 30_000 + b"}",
    b"Tokens: 1.2.3k sent, 5 received.",
    b"Tokens: ... sent, 5 received.",
    b"Tokens: " + b"9" * 400 + b" sent, 5 received.",
    b"Tokens: 1k sent, 5 received. Cost: $1.2.3 message, $1 session.",
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1790000000000}}',
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1e300}}',
    b'{"type":"system","claude_code_version":"2.\xc2\xb2.1"}',
    b"error: 429 retry-after: " + b"9" * 400,
    b"\xff\xfe",
    b"null",
]


def read(name: str, lines: list[bytes]) -> None:
    parser = parser_for(name)
    for line in lines:
        parser.feed(line)
        _ = parser.has_result, parser.hopeless, parser.usage, parser.is_session_total
    report = parser.result()
    assert report.retry_after_s is None or report.retry_after_s <= LONGEST_WAIT_S


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("line", LINES, ids=lambda line: repr(line[:40]))
def test_no_line_is_too_strange(name: str, line: bytes) -> None:
    read(name, [line])
    call_in(line)


@pytest.mark.parametrize("name", FORMATS)
@given(st.lists(st.sampled_from(LINES) | st.binary(max_size=50), max_size=6))
def test_nor_is_any_row_of_them(name: str, lines: list[bytes]) -> None:
    read(name, lines)


def test_a_wait_without_end_is_none_of_a_providers() -> None:
    assert wait_s("retry-after: " + "9" * 400) == LONGEST_WAIT_S
