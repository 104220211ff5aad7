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


async def test_polling_leaves_its_share_to_the_effects_on_the_same_key(stopwatch: Any) -> None:
    limiter = RateLimiter(6, max_wait_s=0, monotonic=stopwatch, sleep=stopwatch.sleep)
    polling = limiter.leaving(2)
    for _ in range(4):
        await polling.take("polling")
    with pytest.raises(TransientError) as caught:
        await polling.take("polling")
    assert caught.value.retry_after_s == pytest.approx(60)
    for _ in range(2):
        await limiter.take("acting")
    with pytest.raises(TransientError):
        await limiter.take("acting")


async def test_polling_yields_to_another_process_that_uses_up_the_key(stopwatch: Any) -> None:
    limiter = RateLimiter(60, max_wait_s=0, monotonic=stopwatch, sleep=stopwatch.sleep)
    polling = limiter.leaving(20)
    await polling.take("polling")
    polling.learn(15)
    with pytest.raises(TransientError) as caught:
        await polling.take("polling")
    assert caught.value.retry_after_s == pytest.approx(5)
    await limiter.take("acting")
    stopwatch.seconds += 5
    await polling.take("polling")


async def test_a_pause_that_polling_was_told_holds_for_all(stopwatch: Any) -> None:
    limiter = RateLimiter(max_wait_s=0, monotonic=stopwatch, sleep=stopwatch.sleep)
    limiter.leaving(20).hold(30)
    with pytest.raises(TransientError) as caught:
        await limiter.take("acting")
    assert caught.value.retry_after_s == pytest.approx(30)


async def test_a_share_larger_than_the_limit_still_lets_one_call_through(stopwatch: Any) -> None:
    polling = RateLimiter(10, max_wait_s=0, monotonic=stopwatch, sleep=stopwatch.sleep).leaving(20)
    await polling.take("polling")
    with pytest.raises(TransientError):
        await polling.take("polling")
