"""The process tree: nats-server and the services, watched over. Who dies is started again; who keeps dying ends all."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from conveyor.cli.exits import Exit
from conveyor.cli.up.child import Child, Sink
from conveyor.cli.up.plan import LOOPBACK, Member, Plan
from conveyor.servicekit.backoff import delay_after
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import NatsProcess

LOOP_DEATHS = 5
LOOP_WINDOW_S = 60.0
"""So many deaths of one service within this time are a crash loop."""
FIRST_DELAY_S = 0.5
CAP_DELAY_S = 10.0
WRONG_CONFIGURATION = 2
"""The exit code by which a service says that starting it again cannot help."""
_POLL_S = 0.2

Tell = Callable[[str], None]


class Ended(NamedTuple):
    """Why the whole tree has to end."""

    code: Exit
    reason: str


class Deaths:
    """Counts how often one member died lately."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque()

    def add(self, now_s: float) -> int:
        """Note one more and return how many there were within the window."""
        self._at_s.append(now_s)
        while now_s - self._at_s[0] > LOOP_WINDOW_S:
            self._at_s.popleft()
        return len(self._at_s)


class Tree:
    """Use `running(...)`: inside it everything runs, behind it nothing does."""

    def __init__(self, plan: Plan, sink: Sink, tell: Tell) -> None:
        self._plan = plan
        self._sink = sink
        self._tell = tell
        self._nats: NatsProcess | None = None
        self._children: dict[str, Child] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        """Done when the tree has to end by itself."""

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of what runs now, by name."""
        found = {name: child.pid for name, child in self._children.items()}
        return found | ({"nats": self._nats.pid} if self._nats and self._nats.is_running else {})

    async def start(self) -> None:
        """Start nats-server, unless it is not ours, and then every service; PermanentError when it does not start."""
        plan = self._plan
        if plan.nats.embedded:
            self._nats = NatsProcess(
                plan.nats_dir,
                port=plan.nats_port,
                host=LOOPBACK,
                sync=plan.nats.sync,
                monitor_port=plan.nats.monitor_port,
            )
            await self._nats.start()
            self._keep("nats", self._keep_nats(self._nats))
        for member in plan.members:
            self._keep(member.name, self._keep_member(member))

    async def stop(self) -> None:
        """Drain the services, all at once, then end nats-server."""
        self._is_stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        graces_s = {member.name: member.grace_s for member in self._plan.members}
        await asyncio.gather(*(child.stop(graces_s[name]) for name, child in self._children.items()))
        if self._nats is not None:
            await self._nats.stop()

    def kill(self) -> None:
        """End every service at once; `stop` then has nothing to wait for."""
        for child in self._children.values():
            child.kill()

    def _keep(self, name: str, work: Awaitable[None]) -> None:
        async def kept() -> None:
            try:
                await work
            except Exception as error:
                self._end(Exit.FAILED, f"{name}: {error}")
                raise

        self._keepers.append(asyncio.create_task(kept(), name=f"keep-{name}"))

    def _end(self, code: Exit, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(Ended(code, reason))

    async def _keep_member(self, member: Member) -> None:
        deaths = Deaths()
        while True:
            child = await Child.start(member.name, member.command, member.environment, self._sink)
            self._children[member.name] = child
            code = await child.wait()
            if code == WRONG_CONFIGURATION:
                self._end(Exit.USAGE, f"{member.name} cannot start with this configuration; its last lines say why")
                return
            if not await self._wait_to_restart(member.name, f"ended with {_named(code)}", deaths):
                return

    async def _keep_nats(self, nats: NatsProcess) -> None:
        deaths = Deaths()
        while True:
            while nats.is_running:
                await SYSTEM_CLOCK.sleep(_POLL_S)
            if not await self._wait_to_restart("nats", f"died; its log is {nats.log_path}", deaths):
                return
            await nats.start()

    async def _wait_to_restart(self, name: str, what: str, deaths: Deaths) -> bool:
        """Tell of a death and wait; False when it was one too many."""
        count = deaths.add(SYSTEM_CLOCK.monotonic())
        if count >= LOOP_DEATHS:
            self._end(Exit.FAILED, f"{name} {what}: {count} times within {LOOP_WINDOW_S:g} s, so everything stops")
            return False
        delay_s = delay_after(count, FIRST_DELAY_S, CAP_DELAY_S, name)
        self._tell(f"{name} {what}; it is started again in {delay_s:.1f} s ({count} of {LOOP_DEATHS} deaths)")
        await SYSTEM_CLOCK.sleep(delay_s)
        return True


def _named(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@asynccontextmanager
async def running(plan: Plan, sink: Sink, tell: Tell) -> AsyncIterator[Tree]:
    """Run the tree inside the `with`; whatever happens there, nothing of it is left behind."""
    tree = Tree(plan, sink, tell)
    try:
        await tree.start()
        yield tree
    finally:
        await tree.stop()
