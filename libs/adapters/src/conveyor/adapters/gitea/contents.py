"""Files of a repository at a commit or branch, without a clone."""

import base64
import binascii

from conveyor.adapters.gitea.http import Call, Topic, decode, part
from conveyor.adapters.gitea.shapes import EntryRow
from conveyor.contracts.errors import PermanentError


class Contents(Topic):
    """The topic of files. `repo` is `owner/name`, `ref` a commit or branch."""

    async def read_file(self, repo: str, path: str, ref: str) -> str | None:
        """Return a file's text, bytes that are no UTF-8 replaced; None when there is no such file."""
        entry = await self._entries(repo, path, ref)
        if not isinstance(entry, EntryRow) or entry.type != "file":
            return None
        try:
            return base64.b64decode(entry.content or "").decode("utf-8", "replace")
        except binascii.Error as error:
            raise PermanentError(f"reading {path} of {repo}: the content is not base64") from error

    async def list_dir(self, repo: str, path: str, ref: str) -> tuple[str, ...]:
        """Return the names in a folder; none when there is no such folder."""
        entries = await self._entries(repo, path, ref)
        return tuple(entry.name for entry in entries) if isinstance(entries, list) else ()

    async def _entries(self, repo: str, path: str, ref: str) -> EntryRow | list[EntryRow] | None:
        doing = f"reading {path} of {repo} at {ref}"
        call = Call(path=f"repos/{repo}/contents/{part(path.strip('/'))}", params={"ref": ref}, doing=doing)
        answer = await self._http.find_answer(call)
        if answer is None:
            return None
        if answer.body.lstrip().startswith(b"["):
            return decode(answer, list[EntryRow], doing)
        return decode(answer, EntryRow, doing)
