"""Who is calling: tokens, passwords and scopes, as Gitea reads them from the Authorization header."""

import base64
import binascii
import dataclasses

from conveyor.simulator.gitea.world import RefusalError, User, World


@dataclasses.dataclass(frozen=True)
class Caller:
    """The user behind a request (None: a stranger), the scopes of the token used, and whether it was a password."""

    user: User | None
    scopes: frozenset[str] = frozenset({"all"})
    by_password: bool = False

    def need(self, scope: str) -> None:
        """Refuse with 403 unless the token has this scope; `write:x` includes `read:x`."""
        writing = scope.replace("read:", "write:")
        if not self.scopes & {"all", scope, writing}:
            raise RefusalError(403, f"token does not have at least one of required scope(s): [{scope}]")

    def known(self) -> User:
        """Return the user; refuses a stranger with 401."""
        if self.user is None:
            raise RefusalError(401, "token is required")
        return self.user


def authenticate(world: World, header: str | None, *, is_strict: bool = False) -> Caller:
    """Read `token T`, `Bearer T` or Basic with a password or a token; refuses wrong ones with 401.

    `is_strict`: the word `token` must be in lower case, as Forgejo and older Gitea want it.
    """
    if not header:
        return Caller(None)
    scheme, _, value = header.partition(" ")
    if scheme.lower() in ("token", "bearer") and not (is_strict and scheme.lower() == "token" != scheme):
        return _by_token(world, value.strip())
    if scheme.lower() == "basic":
        return _by_basic(world, value)
    raise RefusalError(401, "invalid authorization scheme")


def _by_token(world: World, secret: str) -> Caller:
    found = world.login_by_token(secret)
    if found is None:
        raise RefusalError(401, "invalid username, password or token")
    return Caller(found[0], found[1].scopes)


def _by_basic(world: World, value: str) -> Caller:
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as failure:
        raise RefusalError(401, "invalid basic authorization") from failure
    user = world.users.get(name)
    if user is not None and secret == user.password:
        return Caller(user, by_password=True)
    # A token may stand in either place: `name:token` or `token:x-oauth-basic`.
    return _by_token(world, secret if secret and secret != "x-oauth-basic" else name)
