import pytest

from conveyor.adapters.agents import PlainText
from conveyor.adapters.agents.text import TAIL_BYTES
from conveyor.adapters.agents.troubles import ended_in_trouble, kind_of, wait_s
from conveyor.contracts.outcomes import OutcomeReason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Retry-After: 30", 30),
        ('{"error": {"retry_after": 12.5}}', 12.5),
        ('"retryDelay": "45s"', 45),
        ('"retry_after_ms": 1500', 1.5),
        ("Rate limited. Please try again in 20s.", 20),
        ("Please try again in 1m30s", 90),
        ("please retry in 2 minutes", 120),
        ("wait 1 hour 5 minutes", 3900),
        ("retry after 300 ms", 0.3),
        ("try again later", None),
        ("retry-after: 5\n...\ntry again in 7 seconds", 7),
    ],
)
def test_a_wait_is_read_in_header_json_and_prose(text: str, seconds: float | None) -> None:
    assert wait_s(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("HTTP 429 Too Many Requests", OutcomeReason.RATE_LIMITED),
        ("You have exceeded your current quota", OutcomeReason.RATE_LIMITED),
        ("overloaded_error", OutcomeReason.OVERLOADED),
        ("503 Service Unavailable", OutcomeReason.OVERLOADED),
        ("connect ECONNREFUSED 127.0.0.1", OutcomeReason.NETWORK),
        ("SyntaxError: invalid syntax", None),
        ("ModuleNotFoundError: No module named 'shop'", None),
        ("wrote 4290 lines", None),
    ],
)
def test_a_passing_trouble_is_told_by_its_words(text: str, reason: OutcomeReason | None) -> None:
    assert kind_of(text) is reason


def test_a_summary_that_mentions_a_limit_is_no_trouble() -> None:
    assert not ended_in_trouble("I added handling for rate limit errors (429).\nAll tests pass.")
    assert ended_in_trouble("API Error: 529 overloaded")
    assert ended_in_trouble("litellm.APIConnectionError: no connection\n\n")


def test_memory_is_bounded_whatever_is_printed() -> None:
    parser = PlainText()
    parser.feed(b"x" * (50 * 1024 * 1024))
    for _ in range(10_000):
        parser.feed(b"line of some length\n")
    parser.feed(b"the end\n")
    assert sum(len(line) + 1 for line in parser._tail) <= TAIL_BYTES
    assert parser.result().summary.endswith("the end")
