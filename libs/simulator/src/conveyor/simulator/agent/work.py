"""The honest work of the scripted agent: each role's documents with front matter, a source change, the result file."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from conveyor.simulator.agent.order import Behaviour, Order
from conveyor.simulator.agent.speech import Speech


@dataclasses.dataclass(frozen=True)
class Paper:
    """A document of a role: its file, the key and word of its front matter, and its heading."""

    name: str
    key: str
    word: str
    heading: str


GOOD = {
    "analyst": Paper("01-analysis.md", "status", "COMPLETE", "Analysis"),
    "architect": Paper("05-architecture.md", "status", "COMPLETE", "Architecture"),
    "developer": Paper("08-development.md", "status", "COMPLETE", "Development"),
    "reviewer": Paper("12-review.md", "verdict", "APPROVED", "Review"),
    "tester": Paper("13-test-report.md", "status", "PASS", "Test report"),
    "deployer": Paper("14-deploy-log.md", "status", "SUCCESS", "Deploy log"),
}
BAD = {
    "analyst": Paper("02-questions.md", "status", "QUESTIONS", "Questions"),
    "architect": Paper("10-conflict.md", "status", "CONFLICT", "Conflict"),
    "reviewer": Paper("12-review.md", "verdict", "REQUEST_CHANGES", "Review"),
    "tester": Paper("13-test-report.md", "status", "FAIL", "Test report"),
    "deployer": Paper("14-deploy-log.md", "status", "FAILED", "Deploy log"),
}
OBJECTIONS = {
    "analyst": "Which of the two readings is meant?",
    "architect": "The analysis contradicts the existing design.",
    "reviewer": "The change has no test for its error path.",
    "tester": "One acceptance criterion does not hold.",
    "deployer": "The deployment did not become healthy.",
}
# What a result file may say is a closed list; these three are said by which document was left.
WORDLESS = ("COMPLETE", "QUESTIONS", "CONFLICT")


def paper_of(role: str, *, good: bool) -> Paper:
    """Return the document this role leaves; an unknown role gets one named after itself."""
    return (GOOD if good else BAD).get(role) or Paper(f"{role}.md", "status", "COMPLETE", role.title())


def agree(order: Order, behaviour: Behaviour, speech: Speech) -> None:
    """Do the role's work and find nothing wrong: the document, for a developer a source change, the result file."""
    paper = paper_of(order.role, good=True)
    text = behaviour.text("text", f"All of {order.task_key} is done as asked.")
    if order.role == "developer":
        change_source(order, behaviour, speech)
    write_paper(order, paper, text, speech)
    overtaken = BAD.get(order.role)
    if overtaken is not None and overtaken.name != paper.name:
        # Questions that were answered and conflicts that were solved stand in the history, not in the way.
        (order.docs_dir / overtaken.name).unlink(missing_ok=True)
    write_result(order, paper, text, [])


def object_to(order: Order, behaviour: Behaviour, speech: Speech) -> None:
    """Do the role's work and say no: questions, a conflict, changes requested, a failed test or deployment."""
    paper = paper_of(order.role, good=False)
    text = behaviour.text("text", OBJECTIONS.get(order.role, "This cannot be done."))
    write_paper(order, paper, text, speech)
    write_result(order, paper, text, [str(one) for one in behaviour.options.get("findings", [text])])


def change_source(order: Order, behaviour: Behaviour, speech: Speech) -> None:
    """Change the source: the files the script names, or one line added for this run to one of the task's own."""
    named = behaviour.options.get("files")
    if isinstance(named, Mapping):
        for path, content in named.items():
            _write(order.cwd / path, str(content), speech)
        return
    name = "".join(char if char.isalnum() else "_" for char in order.task_key).lower()
    source = order.cwd / "src" / f"{name}.py"
    before = source.read_text() if source.exists() else f'"""Made for {order.task_key}."""\n'
    _write(source, f"{before}# changed by run {order.run_id}, attempt {order.attempt}\n", speech)


def write_paper(order: Order, paper: Paper, text: str, speech: Speech) -> None:
    """Write a document whose front matter carries the verdict."""
    matter = {
        "task": order.task_key,
        "stage": order.stage,
        "role": order.role,
        "run_id": order.run_id,
        "attempt": str(order.attempt),
        paper.key: paper.word,
    }
    # A JSON string is a YAML string, so nothing in a key or id can break the front matter; the verdict stays bare.
    lines = [f"{key}: {word if key == paper.key else json.dumps(word)}" for key, word in matter.items()]
    front = "\n".join(["---", *lines, "---"])
    _write(order.docs_dir / paper.name, f"{front}\n\n# {paper.heading}: {order.task_key}\n\n{text}\n", speech)


def write_result(order: Order, paper: Paper, summary: str, findings: list[str], *, run_id: str = "") -> None:
    """Write the result file, whose run id is this run's unless told otherwise."""
    result = {
        "schema": "conveyor-result/1",
        "run_id": run_id or order.run_id,
        "status": "succeeded",
        "verdict": "" if paper.word in WORDLESS else paper.word,
        "summary": summary,
        "findings": findings,
    }
    order.result_file.parent.mkdir(parents=True, exist_ok=True)
    order.result_file.write_text(json.dumps(result, indent=2) + "\n")


def _write(path: Path, content: str, speech: Speech) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    speech.tool("Write", file_path=str(path), content=content)
