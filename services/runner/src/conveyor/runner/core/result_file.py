"""Reads the result an agent leaves behind: strict in what it says, lenient in its wrapping, never a guess (SE-9)."""

import json
from typing import Any

import msgspec
from msgspec import Struct

SCHEMA = "conveyor-result/1"
MAX_BYTES = 1024 * 1024
VERDICTS = ("", "APPROVED", "REQUEST_CHANGES", "PASS", "FAIL", "SUCCESS", "FAILED")
_SUMMARY_CHARS = 4000
_FINDINGS = 100
_FINDING_CHARS = 2000
_FENCE = "```"


class Result(Struct, frozen=True, kw_only=True):
    """What the agent says of its run: a hint, which the gates hold against the facts."""

    has_failed: bool
    verdict: str
    summary: str
    findings: tuple[str, ...]


class _File(Struct, forbid_unknown_fields=True):
    schema: str
    run_id: str
    status: str
    verdict: str = ""
    summary: str = ""
    findings: list[str] = []


def read_result(data: bytes, run_id: str) -> Result | str:
    """Return the result in these bytes, or a sentence that says why they hold none."""
    if len(data) > MAX_BYTES:
        return f"the result file is larger than {MAX_BYTES} bytes"
    flaws: list[str] = []
    try:
        value = _parse(_unwrap(data.decode("utf-8-sig")), flaws)
        if flaws:
            return f"the result file cannot be read: {flaws[0]}"
        return _checked(msgspec.convert(value, _File), run_id)
    except UnicodeDecodeError:
        return "the result file is not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"the result file cannot be read: {error}"


def _checked(found: _File, run_id: str) -> Result | str:
    if found.schema != SCHEMA:
        return f"the result file has schema {found.schema[:60]!r}, expected {SCHEMA!r}"
    if found.run_id != run_id:
        return f"the result file is of run {found.run_id[:80]!r}, not of this one"
    if found.status not in ("succeeded", "failed"):
        return f"the result file has status {found.status[:40]!r}, expected succeeded or failed"
    if found.verdict not in VERDICTS:
        return f"the result file has verdict {found.verdict[:40]!r}, expected one of {', '.join(VERDICTS[1:])}"
    return Result(
        has_failed=found.status == "failed",
        verdict=found.verdict,
        summary=found.summary[:_SUMMARY_CHARS],
        findings=tuple(finding[:_FINDING_CHARS] for finding in found.findings[:_FINDINGS]),
    )


def _unwrap(text: str) -> str:
    """Take off a code fence; what follows the object is ignored by the parser."""
    text = text.strip()
    if text.startswith(_FENCE):
        _, _, text = text.partition("\n")
    return text.strip()


def _parse(text: str, flaws: list[str]) -> Any:
    """Return the JSON value at the text's beginning; what JSON forbids but Python reads is noted as a flaw."""

    def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            flaws.append("a key stands in it twice")
        return found

    def no_constant(name: str) -> None:
        flaws.append(f"{name} is no JSON")

    value, _ = json.JSONDecoder(object_pairs_hook=without_twins, parse_constant=no_constant).raw_decode(text)
    return value
