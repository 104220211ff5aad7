import asyncio

from conveyor.servicekit.ending import cancel_until_ended


async def test_what_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed: list[str] = []

    async def deaf(name: str, times: int) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(name)
                if swallowed.count(name) > times:
                    raise

    async def fails() -> None:
        raise ValueError("broken")

    tasks = [asyncio.create_task(one) for one in (deaf("once", 1), deaf("never", 0), fails())]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await cancel_until_ended(*tasks, again_s=0.01)
    assert sorted(swallowed) == ["never", "once", "once"]
    assert isinstance(tasks[2].exception(), ValueError)
