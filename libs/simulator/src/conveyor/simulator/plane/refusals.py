"""The answers by which Plane says no, word for word; raised anywhere in a route and sent by the door."""

from typing import Any


class RefusalError(Exception):
    """A request that ends in an error answer with this status and body."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def detail(status: int, text: str) -> RefusalError:
    """An error in the framework's own words."""
    return RefusalError(status, {"detail": text})


def error(status: int, text: str, **more: str) -> RefusalError:
    """An error in the application's words."""
    return RefusalError(status, {"error": text, **more})


def not_permitted() -> RefusalError:
    """No member, a guest, an unknown workspace or project, a key in the wrong case: all alike."""
    return detail(403, "You do not have permission to perform this action.")


def not_found() -> RefusalError:
    """The route exists, the object does not."""
    return error(404, "The requested resource does not exist.")


def no_page() -> RefusalError:
    """No such route, or an id that is no UUID; this body alone has a space after its colon."""
    return RefusalError(404, None)


def crashed() -> RefusalError:
    """What callers' mistakes such as an unknown order_by end in."""
    return error(500, "Something went wrong please try again later")


def invalid(field: str, text: str) -> RefusalError:
    """A field that did not validate."""
    return RefusalError(400, {field: [text]})


def bad_payload() -> RefusalError:
    """The database would not have it."""
    return error(400, "The payload is not valid")
