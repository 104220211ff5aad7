"""Checks that read documents at one commit of a simulated forge."""

from typing import Any

import pytest

from conveyor.contracts.events import GateState
from conveyor.stage_engine.gates import front_matter

Bench = Any
ANALYSIS = ("01-analysis.md",)


def front(line: str, body: str = "Said at length.") -> str:
    return f"---\n{line}\n---\n{body}\n"


@pytest.mark.behaviour("SE-6", "SE-8")
async def test_the_analysis_is_complete_when_every_document_is_there(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea")
    assert (await bench.check("analysis_complete", documents=ANALYSIS)).state is GateState.PASSED


@pytest.mark.behaviour("SE-6")
async def test_questions_instead_of_the_analysis_ask_for_an_answer(bench: Bench) -> None:
    await bench.push(d02_questions="Green?")
    found = await bench.check("analysis_complete", documents=ANALYSIS)
    assert found.state is GateState.QUESTIONS
    assert found.evidence == {"questions": "Green?"}


@pytest.mark.behaviour("SE-6")
async def test_old_questions_beside_a_complete_analysis_are_answered(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea", d02_questions="Green?")
    assert (await bench.check("analysis_complete", documents=ANALYSIS)).state is GateState.PASSED
    asked = await bench.check("analysis_complete", documents=ANALYSIS, run_verdict="QUESTIONS")
    assert asked.state is GateState.QUESTIONS


@pytest.mark.behaviour("SE-6")
@pytest.mark.parametrize("text", ["", " \n"])
async def test_an_empty_analysis_is_none(bench: Bench, text: str) -> None:
    await bench.push(d01_analysis=text)
    found = await bench.check("analysis_complete", documents=ANALYSIS)
    assert found.state is GateState.BROKEN
    assert "01-analysis.md" in found.reason


async def test_without_a_branch_nothing_is_there(bench: Bench) -> None:
    assert (await bench.check("analysis_complete", documents=ANALYSIS)).state is GateState.BROKEN


async def test_a_document_of_a_later_commit_does_not_count(bench: Bench) -> None:
    """Gates read the forge at one commit, whatever the branch holds by now."""
    first = await bench.push(d05_architecture="# Tables")
    await bench.push(d10_conflict="No.")
    assert (await bench.check("architecture_done", sha=first)).state is GateState.PASSED
    assert (await bench.check("architecture_done")).state is GateState.REJECTED


@pytest.mark.behaviour("SE-7")
async def test_the_analysis_is_approved_by_a_person_only(bench: Bench) -> None:
    await bench.push(d01_analysis="verdict: APPROVED")
    assert (await bench.check("analysis_approved")).state is GateState.PENDING
    assert (await bench.check("analysis_approved", approved_by="Ada")).state is GateState.PASSED


@pytest.mark.behaviour("SE-10")
async def test_a_conflict_sends_the_architecture_back_with_its_text(bench: Bench) -> None:
    await bench.push(d05_architecture="# Tables", d10_conflict="Two tables.")
    found = await bench.check("architecture_done", documents=("05-architecture.md",))
    assert (found.state, found.reason) == (GateState.REJECTED, "Two tables.")


async def test_an_architecture_that_is_missing_is_broken(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea")
    found = await bench.check("architecture_done", documents=("05-architecture.md",))
    assert found.state is GateState.BROKEN


VERDICTS = [
    ("reviewer_verdict", "d12_review", "verdict", "APPROVED", "REQUEST_CHANGES"),
    ("tests_passed", "d13_test_report", "status", "PASS", "FAIL"),
    ("deploy_status", "d14_deploy_log", "status", "SUCCESS", "FAILED"),
]


@pytest.mark.behaviour("SE-9")
@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict[0])
async def test_verdicts_are_read_from_front_matter(bench: Bench, verdict: tuple[str, str, str, str, str]) -> None:
    check, document, field, yes, no = verdict
    await bench.push(**{document: front(f"{field}: {yes}")})
    assert (await bench.check(check)).state is GateState.PASSED
    await bench.push(**{document: front(f"{field}: {no}", "Close the file.")})
    found = await bench.check(check)
    assert (found.state, found.reason) == (GateState.REJECTED, "Close the file.")
    await bench.push(**{document: front("title: none", f"{field}: {yes}")})
    assert (await bench.check(check)).state is GateState.BROKEN


@pytest.mark.behaviour("SE-9")
async def test_two_verdicts_that_differ_are_none(bench: Bench) -> None:
    """The document and the run's result file speak of one run: when they differ, neither is believed."""
    await bench.push(d12_review=front("verdict: APPROVED"))
    found = await bench.check("reviewer_verdict", run_verdict="REQUEST_CHANGES")
    assert found.state is GateState.BROKEN
    assert "REQUEST_CHANGES" in found.reason
    assert (await bench.check("reviewer_verdict", run_verdict="APPROVED")).state is GateState.PASSED


@pytest.mark.behaviour("SE-9")
async def test_without_the_document_there_is_no_verdict(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea")
    for check, *_ in VERDICTS:
        assert (await bench.check(check)).state is GateState.BROKEN


@pytest.mark.behaviour("SE-9")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("verdict: APPROVED\n", "does not begin with"),
        ("\n---\nverdict: APPROVED\n---\n", "does not begin with"),
        ("---\nverdict: APPROVED\n", "not closed"),
        ("---\nverdict: approved\n---\n", "is not one of"),
        ("---\nverdict: APPROVED but\n---\n", "is not one of"),
        ("---\nverdict: [APPROVED]\n---\n", "is not one of"),
        ("---\nverdict: {APPROVED: yes}\n---\n", "is not one of"),
        ("---\nverdict:\n---\n", "is not one of"),
        ("---\nverdict: yes\n---\n", "is not one of"),
        ("---\nverdict: APPROVED\nverdict: REQUEST_CHANGES\n---\n", "more than once"),
        ("---\n- verdict: APPROVED\n---\n", "no mapping"),
        ("---\nVerdict: APPROVED\n---\n", "has no `verdict:`"),
        ("---\nverdict: !!python/object/apply:os.system [ls]\n---\n", "not YAML"),
        ("---\n: : :\n\t-\n---\n", "not YAML"),
        ("---\n? [a]\n: b\nverdict: APPROVED\n---\n", "not YAML"),
        ("---\na: &x [*x]\nverdict: no\n---\n", "is not one of"),
        ("", "does not begin with"),
    ],
)
def test_malformed_front_matter_is_no_verdict(text: str, why: str) -> None:
    value, problem = front_matter.read(text, "verdict", ("APPROVED", "REQUEST_CHANGES"))
    assert value == ""
    assert why in problem


@pytest.mark.behaviour("SE-9")
@pytest.mark.parametrize(
    "text",
    [
        "---\nverdict: APPROVED\n---\n",
        "\ufeff---\nverdict: APPROVED\n---\n",
        "---\r\nverdict: APPROVED\r\n---\r\nText\r\n",
        "---  \ntitle: Review\nverdict: 'APPROVED'\nfindings:\n  - one\n---\nverdict: REQUEST_CHANGES\n",
    ],
)
def test_front_matter_is_read_as_people_write_it(text: str) -> None:
    assert front_matter.read(text, "verdict", ("APPROVED", "REQUEST_CHANGES")) == ("APPROVED", "")
