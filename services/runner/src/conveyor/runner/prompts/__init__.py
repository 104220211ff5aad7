"""Role prompts: Markdown with strict variables. A repository may bring its own in `.conveyor/prompts/<role>.md`.

Whatever a role's prompt says, the frame (`_frame.md`) follows it: it tells where documents and the result belong.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError
from conveyor.runner.core.plan import RUNNER_FOLDER, docs_dir, result_file
from conveyor.runner.core.result_file import SCHEMA

ROLES = ("analyst", "architect", "developer", "reviewer", "tester", "deployer")
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def override_path(role: str) -> str:
    """Return where a repository keeps its own prompt of a role."""
    return f"{RUNNER_FOLDER}/prompts/{role}.md"


def prompt_for(command: StartRun, *, target_branch: str, description: str, override: str | None = None) -> str:
    """Return the whole prompt of a run; PermanentError for a role without one, or a variable nobody knows."""
    values = _values(command, target_branch, description)
    where = override_path(command.role) if override is not None else f"the prompt of {command.role}"
    own = render(override if override is not None else _shipped(command.role), values, where)
    return f"{own.strip()}\n\n{render(_text('_frame'), values, 'the frame').strip()}\n"


def render(template: str, values: Mapping[str, str], where: str) -> str:
    """Return a template with every `{{ name }}` replaced; PermanentError names the ones that do not exist."""
    unknown = sorted({name for name in _VARIABLE.findall(template) if name not in values})
    if unknown:
        raise PermanentError(f"{where} uses {', '.join(unknown)}; known are {', '.join(sorted(values))}")
    return _VARIABLE.sub(lambda match: values[match.group(1)], template)


def _values(command: StartRun, target_branch: str, description: str) -> dict[str, str]:
    folder = docs_dir(command)
    documents = "\n".join(f"- `{folder}/{name}`" for name in command.documents)
    return {
        "key": command.key,
        "title": command.title,
        "description": description.strip() or "(The issue has no description.)",
        "role": command.role,
        "stage": command.stage,
        "attempt": str(command.attempt),
        "branch": command.branch,
        "target_branch": target_branch,
        "docs_dir": folder,
        "documents": documents or "- none that are required",
        "instructions": command.instructions.strip() or "Nothing: this is the first time you are asked.",
        "run_id": command.run_id,
        "result_file": result_file(command.run_id),
        "result_schema": SCHEMA,
    }


def _shipped(role: str) -> str:
    if role not in ROLES or _ROLE.fullmatch(role) is None:
        raise PermanentError(
            f"there is no prompt for the role {role!r}: add {override_path(role)} to the target branch"
        )
    return _text(role)


def _text(name: str) -> str:
    return files("conveyor.runner.prompts").joinpath(f"{name}.md").read_text("utf-8")
