"""What the people of the demo do, each when the board shows that it is their turn; and the webhook that is lost."""

from collections.abc import Callable

from msgspec import Struct

from conveyor.cli.demo.narrator import Narrator
from conveyor.cli.demo.world import DemoWorld
from conveyor.cli.exits import StopError
from conveyor.contracts.task import DONE, Task, Waiting
from conveyor.servicekit.clock import SYSTEM_CLOCK

ADA = "Ada"
TITLE = "Greet people by name"
TEXT = "The shop says Welcome to everybody. It should use the visitor's name."
ANSWER = "By name, please. Without a name a plain Welcome is enough."
_POLL_S = 0.02

TaskNow = Callable[[], Task | None]


class Deadline(Struct, frozen=True):
    """Until when something has to have happened, by the process's own clock in seconds."""

    at_s: float

    @property
    def is_over(self) -> bool:
        """Whether it is too late."""
        return SYSTEM_CLOCK.monotonic() > self.at_s


class Story:
    """The acts in their order. `task_now` is the task as the bus shows it."""

    def __init__(self, world: DemoWorld, narrator: Narrator, task_now: TaskNow, deadline: Deadline) -> None:
        self._world = world
        self._tell = narrator
        self._task_now = task_now
        self._deadline = deadline
        self.key = ""

    async def play(self) -> None:
        """Play it to its end; StopError says what did not happen in time."""
        self._start()
        await self._until("the analyst asks its question", self._asks)
        self._answer()
        await self._until("the analysis is ready for approval", self._is_ready)
        self._approve()
        await self._until("the reconciler repairs the lost approval", self._is_approved)
        await self._until("the task is done", self._is_done)

    def _start(self) -> None:
        issue = self._world.issue(TITLE, TEXT)
        self.key = self._world.plane.key_of(issue)
        self._tell.person(ADA, f"writes {self.key} “{TITLE}” and moves it to To Analyse")
        self._world.plane.move_issue(self.key, "To Analyse")

    def _answer(self) -> None:
        self._tell.person(ADA, f"answers in a comment: “{ANSWER}”")
        self._world.plane.comment(self.key, ANSWER)

    def _approve(self) -> None:
        # A click on the board is told as `state_id`; our own changes through the API are told as `state`.
        self._world.plane.courier.drop_next(1, f"issue updated state_id {self.key}")
        self._tell.person(ADA, "reads the analysis and sets the status to Approved")
        self._world.plane.move_issue(self.key, "Approved")
        self._tell.lost(f"Plane's webhook about the approval of {self.key} is dropped on its way")

    def _asks(self) -> bool:
        task = self._task_now()
        is_asked = task is not None and task.waiting is Waiting.ANSWER
        return is_asked and self._shows("Needs Input", "Questions before the work can go on")

    def _is_ready(self) -> bool:
        task = self._task_now()
        is_waiting = task is not None and task.stage == "analysis" and task.waiting is Waiting.PERSON
        return is_waiting and self._shows("In Review", "ready for your word")

    def _is_approved(self) -> bool:
        task = self._task_now()
        return task is not None and task.stage != "analysis"

    def _is_done(self) -> bool:
        task = self._task_now()
        if task is not None and task.is_escalated:
            raise StopError(f"{self.key} is blocked: {task.escalation}")
        return task is not None and task.stage == DONE and self._world.plane.state_of(self.key) == "Done"

    def _shows(self, state: str, said: str) -> bool:
        """Whether the issue's page shows this state and a comment with these words: people act on what they see."""
        plane = self._world.plane
        is_said = any(said in comment.comment_html for comment in plane.comments_of(self.key))
        return is_said and plane.state_of(self.key) == state

    async def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        while not is_so():
            if self._deadline.is_over:
                raise StopError(f"the demo waited in vain until {what}; {self._where()}")
            await SYSTEM_CLOCK.sleep(_POLL_S)

    def _where(self) -> str:
        task = self._task_now()
        if task is None:
            return f"there is no task {self.key} yet"
        return f"{self.key} is in {task.stage}, waiting for {task.waiting or 'nothing'}"
