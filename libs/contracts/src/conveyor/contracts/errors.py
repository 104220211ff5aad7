"""The two kinds of error that the whole house knows, and the one that says a message cannot be read.

Adapters choose between them; only the consume loop acts on the choice (style: two kinds, told apart in one place).
"""


class ConveyorError(Exception):
    """An error with a sentence for the reader: what was being done, what was expected, what to do."""


class TransientError(ConveyorError):
    """It may work later: the same call is worth repeating.

    `retry_after_s` is the wait the other side asked for in seconds, or None when it asked for none.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentError(ConveyorError):
    """Repeating the same call cannot help; somebody has to change something."""


class MessageError(PermanentError):
    """A message that cannot be decoded: not JSON, wrong shape, unknown type or unknown version."""


class SettingsError(PermanentError):
    """A setting that cannot be used; the text names the file, the path and what was expected."""
