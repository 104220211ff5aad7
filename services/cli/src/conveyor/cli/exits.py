"""How a command ends: exit codes that scripts can rely on, and the errors that lead to them."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of `conveyor`; they are public and do not change."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_TASK = 3
    NO_BUS = 4
    INTERRUPTED = 130


EPILOG = (
    "Exit codes: 0 fine, 1 failed (or ignored by the engine), 2 wrong use or configuration, 3 no such task, "
    "4 bus unreachable, 130 interrupted by Ctrl-C before it was done."
)


class StopError(Exception):
    """Ends the command with this code and one clear sentence on stderr."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code
