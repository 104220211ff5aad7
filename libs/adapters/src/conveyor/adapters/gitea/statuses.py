"""CI as the forge tells it: one commit's contexts over all pages, combined by us and never by the forge's word."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from conveyor.adapters.gitea.http import PAGE, Call, Topic, decode
from conveyor.adapters.gitea.shapes import CombinedRow
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.observed import CiState, CiStatus

_GREEN = frozenset({"success", "skipped"})
_RED = frozenset({"failure", "error", "warning"})
"""A warning counted as a success in 1.25 and as a failure since 1.26: the careful reading is taken for all."""
_MAX_PAGES = 100


class Statuses(Topic):
    """The topic of commit statuses. `repo` is `owner/name`."""

    async def ci_status(self, repo: str, sha: str, required: tuple[str, ...] = ()) -> CiStatus:
        """Return what CI says of one commit, by its contexts that match `required` (globs), or by all of them.

        No status, and no such commit, is NONE: never green.
        """
        contexts: dict[str, str] = {}
        doing, total = f"reading the CI status of {sha} of {repo}", 0
        for number in range(1, _MAX_PAGES + 1):
            params = {"page": str(number), "limit": str(PAGE)}
            call = Call(path=f"repos/{repo}/commits/{sha}/status", params=params, doing=doing)
            answer = await self._http.find_answer(call)
            rows = (decode(answer, CombinedRow, doing).statuses or []) if answer else []
            contexts.update({row.context: row.status for row in rows})
            total += len(rows)
            if not rows or (answer and answer.total is not None and total >= answer.total):
                return CiStatus(state=combine(contexts, required), contexts=contexts)
        raise PermanentError(f"{doing}: more than {_MAX_PAGES} pages")


def combine(contexts: Mapping[str, str], required: Sequence[str] = ()) -> CiState:
    """Return the state of a commit from `context -> state`.

    With `required` each glob needs at least one context, and only those that match count. One red is red at once;
    green is every one that counts succeeded or skipped; an unknown word is pending.
    """
    if not contexts:
        return CiState.NONE
    wanted = required or tuple(_literal(context) for context in contexts)
    found = [[state for context, state in contexts.items() if fnmatchcase(context, glob)] for glob in wanted]
    states = {state for matches in found for state in matches}
    if states & _RED:
        return CiState.RED
    return CiState.GREEN if all(found) and states <= _GREEN else CiState.PENDING


def _literal(context: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in context)
