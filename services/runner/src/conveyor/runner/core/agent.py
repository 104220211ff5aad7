"""An agent as it stands in the configuration: a command, how its output is read, how it is stopped."""

from typing import Literal

from msgspec import Struct

from conveyor.runner.core.money import Price

StopSignal = Literal["SIGINT", "SIGTERM", "SIGHUP"]


class Agent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[agents.<name>]`. The prompt comes to its standard input, then end of file."""

    preset: str = ""
    """One of the agents that ship ready: claude, codex, gemini, opencode or aider. What is left at its default here is
    the preset's."""
    command: tuple[str, ...] = ()
    """Program and arguments; `{prompt_file}` in them is replaced by a file that holds the prompt."""
    resume: tuple[str, ...] = ()
    """Arguments added to go on with an earlier session, `{session_id}` replaced; empty: it always starts afresh."""
    output: str = "text"
    """The format it prints: claude-stream-json, codex-jsonl, gemini-stream-json, opencode-json or text."""
    env: dict[str, str] = {}
    """Variables it gets beside those of the run."""
    pass_env: tuple[str, ...] = ()
    """Variables of the runner's own environment that it gets too, such as ANTHROPIC_API_KEY."""
    account: str = ""
    """Whose limits it uses; agents of one account share a circuit breaker. Empty: its own name."""
    price: Price = Price()
    """What its tokens cost, where it tells no cost while it works: budgets are held by this."""
    repeat_limit: int = 25
    """The same call so many times in a row stops the run; 0: never."""
    min_version: str = ""
    """The oldest version that is used, such as 2.1.200, as `version` tells it; empty: any."""
    version: tuple[str, ...] = ()
    """A command that proves that it can start, within 5 s; empty: only the program is looked for."""
    home: str = ""
    """Its HOME, where it keeps its login and sessions; empty: a folder of its own under the runner's root."""
    timeout_s: int = 0
    """Longest time of a run; 0: the stage's."""
    idle_s: float = 600.0
    """Longest silence; 0: no limit."""
    after_result_s: float = 30.0
    """How long it may stay once it has given its result (RU-5)."""
    stop_signals: tuple[StopSignal, ...] = ("SIGINT",)
    """Its gentle signals, one after the other, before SIGTERM to its whole group. Claude tells its cost on SIGINT."""
    gentle_s: float = 5.0
    """The wait after each gentle signal."""
    term_s: float = 20.0
    """The wait after SIGTERM, before SIGKILL."""
