"""What the bus itself can say beside Transient and Permanent: a lost race, and a run that is no longer ours."""

from conveyor.contracts.errors import TransientError


class Conflict(TransientError):  # noqa: N818 - the word the whole house uses for a lost race
    """Somebody else wrote first: nothing was stored. Load again and decide anew."""


class Leave(Exception):  # noqa: N818 - an instruction to the consume loop, not a failure
    """Neither acknowledge nor refuse this delivery: another owner holds it (rule 5)."""


class ApiError(TransientError):
    """JetStream answered a request with an error; `code` is its error code, `status` the HTTP-like one."""

    def __init__(self, message: str, *, code: int, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
