from typing import Any

import pytest

from conveyor.adapters.plane import RateLimiter, shared_limiter
from conveyor.contracts.errors import TransientError


async def test_calls_beyond_the_limit_wait_for_the_window(stopwatch: Any) -> None:
    limiter = RateLimiter(3, max_wait_s=60, monotonic=stopwatch, sleep=stopwatch.sleep)
    for _ in range(3):
        await limiter.take("looking")
        stopwatch.seconds += 10
    assert stopwatch.slept == []
    await limiter.take("looking")
    assert stopwatch.slept == [pytest.approx(30)]
    await limiter.take("looking")
    assert stopwatch.slept[1:] == [pytest.approx(10)]


async def test_who_would_wait_too_long_is_told_how_long(stopwatch: Any) -> None:
    limiter = RateLimiter(1, max_wait_s=5, monotonic=stopwatch, sleep=stopwatch.sleep)
    await limiter.take("looking")
    with pytest.raises(TransientError, match="looking") as caught:
        await limiter.take("looking")
    assert caught.value.retry_after_s == pytest.approx(60)
    assert stopwatch.slept == []


async def test_never_more_than_the_limit_in_any_minute(stopwatch: Any) -> None:
    limiter = RateLimiter(60, max_wait_s=600, monotonic=stopwatch, sleep=stopwatch.sleep)
    times = []
    for number in range(300):
        await limiter.take("looking")
        times.append(stopwatch.seconds)
        stopwatch.seconds += number % 3 * 0.1
    assert all(later - earlier > 60 - 1e-6 for earlier, later in zip(times, times[60:], strict=False))


async def test_silence_lasts_as_long_as_the_longest_that_was_asked(stopwatch: Any) -> None:
    limiter = RateLimiter(max_wait_s=60, monotonic=stopwatch, sleep=stopwatch.sleep)
    limiter.hold(30)
    limiter.hold(3)
    await limiter.take("looking")
    assert sum(stopwatch.slept) == pytest.approx(30)


async def test_a_server_that_allows_more_is_believed_and_one_that_says_less_is_not(stopwatch: Any) -> None:
    limiter = RateLimiter(2, max_wait_s=0, monotonic=stopwatch, sleep=stopwatch.sleep)
    await limiter.take("looking")
    limiter.learn(0)
    await limiter.take("looking")
    limiter.learn(4)
    for _ in range(3):
        await limiter.take("looking")
    with pytest.raises(TransientError):
        await limiter.take("looking")


def test_who_uses_the_same_key_shares_its_limiter() -> None:
    first = shared_limiter("http://plane.test", "key")
    assert shared_limiter("http://plane.test", "key") is first
    assert shared_limiter("http://plane.test", "other") is not first
