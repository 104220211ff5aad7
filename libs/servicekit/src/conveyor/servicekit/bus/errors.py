"""What the bus itself can say beside Transient and Permanent: a lost race, a lost run, and JetStream's own errors."""

import msgspec

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


class _ErrorBody(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: _ErrorBody | None = None


_answer = msgspec.json.Decoder(_Answer)


def raise_for_error(body: bytes, what: str) -> None:
    """Raise ApiError when this answer of JetStream holds an error."""
    if b'"error"' not in body:
        return
    error = _answer.decode(body).error
    if error is not None:
        raise ApiError(f"{what}: {error.description}", code=error.err_code, status=error.code)
