"""Checks that read commits, CI, reviews and pull requests of a simulated forge, and the deployed system."""

from typing import Any

import pytest

from conveyor.contracts.events import GateState
from conveyor.contracts.pipeline_check import CHECKS
from conveyor.simulator.gitea.reviews import dismiss_review
from conveyor.stage_engine.gates.registry import REGISTRY, evaluate

Bench = Any
REPO, BRANCH = "acme/shop", "feature/SHOP-1-tea"


@pytest.mark.behaviour("SE-8")
def test_there_is_one_check_for_every_name_a_pipeline_may_use() -> None:
    assert set(REGISTRY) == set(CHECKS)


@pytest.mark.behaviour("SE-9")
async def test_changes_are_believed_from_the_forge_and_not_from_the_run(bench: Bench) -> None:
    await bench.gitea.reset_branch(REPO, BRANCH, bench.gitea.branch_sha(REPO, "main"))
    assert (await bench.check("has_changes", run_changed=True)).state is GateState.BROKEN
    await bench.push(d01_analysis="# Tea")
    assert (await bench.check("has_changes", run_changed=True)).state is GateState.PASSED
    assert (await bench.check("has_changes", run_changed=False)).state is GateState.BROKEN


@pytest.mark.behaviour("SE-8", "SE-9")
async def test_ci_is_green_when_all_contexts_of_this_commit_are(bench: Bench) -> None:
    first = await bench.push(d01_analysis="# Tea")
    assert (await bench.check("ci_green")).state is GateState.PENDING
    await bench.gitea.set_status(REPO, first, "build", "success")
    await bench.gitea.set_status(REPO, first, "test", "pending")
    assert (await bench.check("ci_green")).state is GateState.PENDING
    await bench.gitea.set_status(REPO, first, "test", "success")
    assert (await bench.check("ci_green")).state is GateState.PASSED
    await bench.push(d01_analysis="# More tea")
    assert (await bench.check("ci_green")).state is GateState.PENDING
    assert (await bench.check("ci_green", sha=first)).state is GateState.PASSED


async def test_red_ci_rejects_and_names_what_is_red(bench: Bench) -> None:
    sha = await bench.push(d01_analysis="# Tea")
    await bench.gitea.set_status(REPO, sha, "build", "success")
    await bench.gitea.set_status(REPO, sha, "test", "failure")
    found = await bench.check("ci_green")
    assert found.state is GateState.REJECTED
    assert "red: test" in found.reason


async def test_only_required_contexts_count_where_some_are_named(bench: Bench) -> None:
    bench.configure(required_contexts=("build",))
    sha = await bench.push(d01_analysis="# Tea")
    await bench.gitea.set_status(REPO, sha, "lint", "failure")
    assert (await bench.check("ci_green")).state is GateState.PENDING
    await bench.gitea.set_status(REPO, sha, "build", "success")
    assert (await bench.check("ci_green")).state is GateState.PASSED


async def test_without_ci_the_gate_passes_and_says_so(bench: Bench) -> None:
    bench.configure(ci=False)
    found = await bench.check("ci_green")
    assert (found.state, found.reason) == (GateState.PASSED, "no CI is configured for this project")


@pytest.mark.behaviour("SE-8")
async def test_a_dismissed_review_counts_for_nothing(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea")
    number = (await bench.gitea.open_pull(REPO, BRANCH)).number
    bench.gitea.approve_review(REPO, number, by="ada")
    asked = bench.gitea.request_changes(REPO, number, "Name it better.", by="bob")
    dismiss_review(bench.gitea.pull(REPO, number), asked.id)
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PASSED
    for review in bench.gitea.pull(REPO, number).reviews:
        dismiss_review(bench.gitea.pull(REPO, number), review.id)
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PENDING


@pytest.mark.behaviour("SE-8")
async def test_a_gate_looks_in_its_order_up_to_the_first_check_that_does_not_pass(bench: Bench) -> None:
    bench.configure(ci=False, health_url="https://shop.example")
    bench.prober.is_well = False
    looked = await evaluate(bench.context("ci_green", "healthy", "review_approved"))
    assert [(found.check, found.state) for found in looked] == [
        ("ci_green", GateState.PASSED),
        ("healthy", GateState.REJECTED),
    ]


async def test_a_persons_review_counts_at_exactly_this_commit(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea")
    number = (await bench.gitea.open_pull(REPO, BRANCH)).number
    assert (await bench.check("review_approved", pull_request=0)).state is GateState.PENDING
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PENDING
    bench.gitea.comment_review(REPO, number, "Hm.", by="ada")
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PENDING
    bench.gitea.approve_review(REPO, number, by="ada")
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PASSED
    bench.gitea.request_changes(REPO, number, "Name it better.", by="bob")
    found = await bench.check("review_approved", pull_request=number)
    assert (found.state, found.reason) == (GateState.REJECTED, "bob asks for changes: Name it better.")
    bench.gitea.approve_review(REPO, number, by="bob")
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PASSED
    await bench.push(d01_analysis="# More tea")
    assert (await bench.check("review_approved", pull_request=number)).state is GateState.PENDING


async def test_a_branch_is_mergeable_once_the_forge_has_checked_it(bench: Bench) -> None:
    """The forge says no while it is checking, and tells nobody when it is done."""
    await bench.push(d01_analysis="# Tea")
    number = (await bench.gitea.open_pull(REPO, BRANCH)).number
    bench.gitea.timing.stale_s, bench.gitea.timing.checking_s = 0.0, 0.4
    await bench.push(d01_analysis="# More tea")
    assert (await bench.check("branch_mergeable", pull_request=number)).state is GateState.PASSED


async def test_a_branch_that_stays_unmergeable_conflicts(bench: Bench) -> None:
    await bench.gitea.push(REPO, BRANCH, {"README.md": "one"})
    number = (await bench.gitea.open_pull(REPO, BRANCH)).number
    await bench.gitea.push(REPO, "main", {"README.md": "two"})
    await bench.gitea.settled()
    bench.patience_s = 0.3
    found = await bench.check("branch_mergeable", pull_request=number)
    assert (found.state, found.reason) == (
        GateState.REJECTED,
        f"pull request {number} cannot be merged: it conflicts with main",
    )


async def test_without_a_pull_request_nothing_is_mergeable(bench: Bench) -> None:
    assert (await bench.check("branch_mergeable")).state is GateState.BROKEN


async def test_a_merged_pull_request_needs_no_merging(bench: Bench) -> None:
    await bench.push(d01_analysis="# Tea")
    number = (await bench.gitea.open_pull(REPO, BRANCH)).number
    await bench.gitea.merge_pull(REPO, number)
    assert (await bench.check("branch_mergeable", pull_request=number)).state is GateState.PASSED


@pytest.mark.behaviour("SE-8")
@pytest.mark.parametrize("check", ["tests_local", "command"])
async def test_a_runs_own_report_is_judged_by_its_checked_verdict(bench: Bench, check: str) -> None:
    states = {
        said: (await bench.check(check, run_verdict=said, run_id="r1")).state
        for said in ("PASS", "FAIL", "", "pass", "APPROVED")
    }
    assert states == {
        "PASS": GateState.PASSED,
        "FAIL": GateState.REJECTED,
        "": GateState.BROKEN,
        "pass": GateState.BROKEN,
        "APPROVED": GateState.BROKEN,
    }


@pytest.mark.behaviour("SE-8")
async def test_the_deployed_system_is_asked_where_it_is_known(bench: Bench) -> None:
    assert (await bench.check("healthy")).state is GateState.PASSED
    assert not bench.prober.asked
    bench.configure(health_url="http://shop.test/health")
    assert (await bench.check("healthy")).state is GateState.PASSED
    bench.prober.is_well = False
    assert (await bench.check("healthy")).state is GateState.REJECTED
