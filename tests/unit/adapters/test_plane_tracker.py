from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from conveyor.adapters.plane import DuplicateError, InvalidKeyError, NoPermissionError, PlaneTracker, RateLimiter
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.observed import LONG_AGO
from conveyor.simulator.plane import shapes

Bench = Any
"""A PlaneBench; see conftest."""


async def test_it_knows_whose_key_it_uses(bench: Bench) -> None:
    assert await bench.tracker.me() == bench.bot.id


async def test_it_tells_a_projects_prefix_and_how_many_calls_are_left(bench: Bench) -> None:
    assert bench.tracker.remaining_calls is None
    assert await bench.tracker.identifier(bench.project.id) == "SHOP"
    assert bench.tracker.remaining_calls == 999_999, "this one has no limit"


async def test_an_issue_is_read_by_id_and_by_key(bench: Bench) -> None:
    made = bench.plane.create_issue(bench.project, "Add a door", "<h2>Why</h2><p>It is <b>cold</b></p>", state="Todo")
    issue = await bench.tracker.issue(bench.project.id, made.id)
    assert issue is not None
    assert (issue.key, issue.title, issue.description) == ("SHOP-1", "Add a door", "Why\nIt is cold")
    assert issue.state_id == bench.plane.state(bench.project, "Todo").id
    assert issue == await bench.tracker.issue_by_key("SHOP-1")


async def test_an_issue_that_is_gone_is_none(bench: Bench) -> None:
    gone, archived = (bench.plane.create_issue(bench.project, name) for name in ("gone", "archived"))
    bench.plane.delete_issue(gone)
    bench.plane.archive_issue(archived)
    assert await bench.tracker.issue(bench.project.id, gone.id) is None
    assert await bench.tracker.issue(bench.project.id, archived.id) is None
    assert await bench.tracker.issue_by_key("SHOP-99") is None


async def test_a_text_that_is_no_key_is_never_asked_for(bench: Bench) -> None:
    assert await bench.tracker.issue_by_key("SHOP-abc") is None
    assert bench.asked() == 0


@pytest.mark.behaviour("SE-14")
async def test_a_state_that_was_just_added_is_found_before_the_cache_is_old(bench: Bench) -> None:
    """Else the first issue moved into a new start status starts nothing until it is swept up."""
    before = await bench.tracker.states(bench.project.id)
    bench.watch.seconds += 100
    added = bench.plane.tracker.create_state(bench.project, ("Ready", "unstarted", "#222222"), bench.plane.owner)
    assert await bench.tracker.states(bench.project.id) == before
    assert added.id in {state.state_id for state in await bench.tracker.states_with(bench.project.id, added.id)}
    calls = bench.asked("/states/")
    for _ in range(5):
        await bench.tracker.states_with(bench.project.id, "gone since")
    assert bench.asked("/states/") == calls, "just asked"
    bench.watch.seconds += 31
    bench.plane.answer_next(502)
    assert await bench.tracker.states_with(bench.project.id, "gone since") != ()


@pytest.mark.behaviour("SE-13")
async def test_each_key_is_resolved_to_a_state_of_the_projects_own(bench: Bench) -> None:
    plain = bench.plane.create_project(
        "Plain", "PLAIN", states=(("Todo", "unstarted", "#111"), ("Doing", "started", "#222"))
    )
    for project, key, name in (
        (bench.project, "to_analyse", "To Analyse"),
        (bench.project, "development", "In Progress"),
        (bench.project, "code_review", "In Review"),
        (plain, "to_analyse", "Doing"),
        (plain, "code_review", "Doing"),
        (plain, "needs_input", "Todo"),
    ):
        assert await bench.tracker.resolve(project.id, key) in await bench.tracker.states(project.id)
        assert (await bench.tracker.resolve(project.id, key)).name == name
    with pytest.raises(PermanentError, match="no status for approved"):
        await bench.tracker.resolve(plain.id, "approved")
    assert await bench.tracker.own_state(plain.id, "in_review") is None


@pytest.mark.behaviour("SE-14")
async def test_states_are_asked_once_in_300_s_and_the_last_good_set_serves_a_failed_refresh(bench: Bench) -> None:
    first = await bench.tracker.states(bench.project.id)
    bench.watch.seconds += 299
    assert await bench.tracker.states(bench.project.id) == first
    assert bench.asked("states") == 1
    bench.watch.seconds += 2
    bench.plane.answer_next(502)
    assert await bench.tracker.states(bench.project.id) == first
    assert bench.asked("states") == 2
    bench.watch.seconds += 31
    assert await bench.tracker.states(bench.project.id) == first
    assert bench.asked("states") == 3


async def test_states_that_were_never_read_are_an_error(bench: Bench) -> None:
    bench.plane.answer_next(503)
    with pytest.raises(TransientError):
        await bench.tracker.states(bench.project.id)


async def test_members_have_their_role_and_are_not_served_stale(bench: Bench) -> None:
    guest = bench.plane.add_user("Gus", 5)
    members = {member.user_id: member for member in await bench.tracker.members(bench.project.id)}
    assert members[guest.id].role == "guest"
    assert (members[bench.plane.owner.id].name, members[bench.plane.owner.id].role) == ("Ada", "admin")
    assert members[bench.bot.id].role == "member"
    bench.watch.seconds += 301
    bench.plane.answer_next(502)
    with pytest.raises(TransientError):
        await bench.tracker.members(bench.project.id)


async def test_changed_issues_come_newest_first_down_to_the_watermark(bench: Bench) -> None:
    old = bench.plane.create_issue(bench.project, "old")
    bench.plane.backdate(old, 3600)
    made = [bench.plane.create_issue(bench.project, f"new {number}") for number in range(120)]
    since = bench.plane.clock.now() - timedelta(seconds=600)
    found = [issue async for issue in bench.tracker.changed_issues(bench.project.id, since)]
    assert {issue.issue_id for issue in found} == {issue.id for issue in made}
    assert [issue.updated_at for issue in found] == sorted((issue.updated_at for issue in found), reverse=True)


async def test_who_stops_at_the_watermark_pays_for_one_page(bench: Bench) -> None:
    for number in range(150):
        bench.plane.backdate(bench.plane.create_issue(bench.project, f"old {number}"), 3600)
    bench.plane.create_issue(bench.project, "new")
    since = bench.plane.clock.now() - timedelta(seconds=600)
    assert [issue.title async for issue in bench.tracker.changed_issues(bench.project.id, since)] == ["new"]
    assert bench.asked("work-items") == 1


async def test_the_last_move_tells_who_and_when_whatever_happened_since(bench: Bench) -> None:
    grace = bench.plane.add_user("Grace")
    issue = bench.plane.create_issue(bench.project, "move me")
    assert await bench.tracker.last_move(bench.project.id, issue.id) is None
    bench.plane.move_issue(issue, "In Progress")
    bench.plane.move_issue(issue, "Approved", by=grace)
    bench.plane.edit_issue(issue, name="renamed")
    move = await bench.tracker.last_move(bench.project.id, issue.id)
    assert move is not None
    assert (move.actor_id, move.state_id) == (grace.id, bench.plane.state(bench.project, "Approved").id)
    assert isinstance(move.at, datetime)
    assert move.at.utcoffset() == timedelta(0)


async def test_a_state_is_set_and_setting_it_again_is_harmless(bench: Bench) -> None:
    issue = bench.plane.create_issue(bench.project, "work")
    state = await bench.tracker.resolve(bench.project.id, "in_progress")
    for _ in range(2):
        await bench.tracker.set_state(bench.project.id, issue.id, state.state_id)
    assert bench.plane.state_of(issue) == "In Progress"


async def test_a_comment_with_the_same_marker_is_posted_once(bench: Bench) -> None:
    issue = bench.plane.create_issue(bench.project, "talk")
    for marker in ("a", "a", "b"):
        await bench.tracker.comment(bench.project.id, issue.id, f"<note> {marker}", marker)
    comments = await bench.tracker.comments(bench.project.id, issue.id)
    assert [(comment.text, comment.is_ours) for comment in comments] == [("<note> a", True), ("<note> b", True)]
    assert {comment.actor_id for comment in comments} == {bench.bot.id}


async def test_an_edited_comment_is_told_apart(bench: Bench) -> None:
    issue = bench.plane.create_issue(bench.project, "talk")
    bench.plane.edit_comment(bench.plane.comment(issue, "first"), "second")
    (comment,) = await bench.tracker.comments(bench.project.id, issue.id)
    assert (comment.text, comment.is_edited, comment.is_ours) == ("second", True, False)


async def test_an_edit_through_the_api_is_told_apart_too(bench: Bench) -> None:
    """It leaves `edited_at` empty: only `updated_by` tells that somebody, perhaps a guest, changed the words."""
    issue = bench.plane.create_issue(bench.project, "talk")
    untouched, changed = bench.plane.comment(issue, "first"), bench.plane.comment(issue, "second")
    guest = bench.plane.add_user("Gus", 5)
    async with httpx.AsyncClient(base_url=bench.plane.url, headers={"X-API-Key": guest.api_key}) as client:
        path = f"/api/v1/workspaces/{bench.plane.slug}/projects/{bench.project.id}/work-items/{issue.id}/comments/"
        answer = await client.patch(f"{path}{changed.id}/", json={"comment_html": "<p>:approved:</p>"})
    assert (answer.status_code, answer.json()["edited_at"]) == (200, None)
    comments = {one.comment_id: one for one in await bench.tracker.comments(bench.project.id, issue.id)}
    assert (comments[untouched.id].is_edited, comments[changed.id].is_edited) == (False, True)
    assert comments[changed.id].actor_id == bench.plane.owner.id


async def test_a_comment_is_its_writers_whoever_that_one_claims_to_be(bench: Bench) -> None:
    issue, guest = bench.plane.create_issue(bench.project, "talk"), bench.plane.add_user("Gus", 5)
    async with httpx.AsyncClient(base_url=bench.plane.url, headers={"X-API-Key": guest.api_key}) as client:
        path = f"/api/v1/workspaces/{bench.plane.slug}/projects/{bench.project.id}/work-items/{issue.id}/comments/"
        body = {"comment_html": "<p>:approved:</p>", "created_by": bench.plane.owner.id}
        assert (await client.post(path, json=body)).status_code == 201
    (comment,) = await bench.tracker.comments(bench.project.id, issue.id)
    assert comment.actor_id == guest.id


async def test_blockers_are_read_from_either_end(bench: Bench) -> None:
    one, two, three = (bench.plane.create_issue(bench.project, name) for name in "abc")
    bench.plane.relate(one, "blocked_by", two)
    bench.plane.relate(three, "blocking", one)
    assert set(await bench.tracker.relations(bench.project.id, one.id)) == {two.id, three.id}
    assert await bench.tracker.relations(bench.project.id, two.id) == ()


async def test_a_bad_key_and_a_missing_permission_are_told_apart(bench: Bench) -> None:
    with pytest.raises(InvalidKeyError, match=r"plane\.api_key"):
        await bench.tracker_with("nonsense").me()
    bench.plane.revoke_key(bench.bot)
    with pytest.raises(InvalidKeyError):
        await bench.tracker.states(bench.project.id)
    guest = bench.plane.add_user("Gus", 5)
    issue = bench.plane.create_issue(bench.project, "work")
    with pytest.raises(NoPermissionError, match="member of the project"):
        await bench.tracker_with(guest.api_key).set_state(bench.project.id, issue.id, issue.state_id)
    with pytest.raises(NoPermissionError):
        await bench.tracker_with(guest.api_key, workspace="elsewhere").states(bench.project.id)


async def test_a_wrong_state_cannot_be_set_by_trying_again(bench: Bench) -> None:
    issue = bench.plane.create_issue(bench.project, "work")
    with pytest.raises(PermanentError, match="answered 400"):
        await bench.tracker.set_state(bench.project.id, issue.id, "7e856ae8-eb7c-4156-9b57-3cb18df683a3")


async def test_an_unknown_issue_cannot_be_commented_on(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="commenting on issue"):
        await bench.tracker.comment(bench.project.id, "7e856ae8-eb7c-4156-9b57-3cb18df683a3", "hi", "m")


async def test_a_wrong_address_is_no_missing_issue(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="404"):
        await bench.tracker.issue(bench.project.id, "no-uuid")


async def test_a_500_is_tried_again_but_not_for_ever(bench: Bench) -> None:
    bench.plane.answer_next(500, 8)
    for _ in range(7):
        with pytest.raises(TransientError):
            await bench.tracker.me()
    with pytest.raises(PermanentError, match="8 times"):
        await bench.tracker.me()
    assert await bench.tracker.me() == bench.bot.id


async def test_another_answer_between_two_500s_starts_the_count_anew(bench: Bench) -> None:
    for _ in range(3):
        bench.plane.answer_next(500, 7)
        for _ in range(7):
            with pytest.raises(TransientError):
                await bench.tracker.me()
        assert await bench.tracker.me() == bench.bot.id


async def test_a_429_keeps_every_user_of_the_key_silent_for_as_long_as_plane_asked(bench: Bench) -> None:
    limiter = RateLimiter(max_wait_s=5, monotonic=bench.watch, sleep=bench.watch.sleep)
    first, second = (bench.tracker_with(bench.bot.api_key, limiter=limiter) for _ in range(2))
    bench.plane.limiter.limit = 0
    with pytest.raises(TransientError) as caught:
        await first.me()
    asked = bench.asked()
    wait_s = caught.value.retry_after_s
    assert wait_s is not None
    assert 0 < wait_s <= 60
    bench.plane.limiter.limit = None
    with pytest.raises(TransientError) as caught:
        await second.me()
    assert (caught.value.retry_after_s, bench.asked()) == (wait_s, asked)
    bench.watch.seconds += wait_s
    assert await second.me() == bench.bot.id


async def test_a_tracker_that_is_away_is_a_passing_trouble(bench: Bench) -> None:
    await bench.plane.stop()
    with pytest.raises(TransientError, match="asking Plane who the API key belongs to: no answer"):
        await bench.tracker.me()
    await bench.plane.start()
    assert await bench.tracker.me() == bench.bot.id


async def test_an_address_that_is_no_plane_says_so(forge_bench: Any, bench: Bench) -> None:
    tracker = PlaneTracker(forge_bench.gitea.url, "acme", "key")
    with pytest.raises(PermanentError):
        await tracker.states(bench.project.id)
    await tracker.close()


def test_a_duplicate_is_a_permanent_error() -> None:
    assert issubclass(DuplicateError, PermanentError)


async def test_a_server_without_a_limit_is_not_waited_for(bench: Bench) -> None:
    for _ in range(70):
        assert await bench.tracker.me() == bench.bot.id


async def test_polling_in_another_process_leaves_the_effects_their_calls(bench: Bench) -> None:
    """Two processes share a key but no memory: what Plane says is left keeps the one that polls from taking all."""
    bench.plane.limiter.limit = 60
    polling = bench.tracker_with(
        bench.bot.api_key, limiter=RateLimiter(max_wait_s=0, monotonic=bench.watch).leaving(20)
    )
    acting = bench.tracker_with(bench.bot.api_key, limiter=RateLimiter(max_wait_s=0, monotonic=bench.watch))
    for _ in range(10):
        await acting.me()
    for _ in range(31):
        await polling.me()
    with pytest.raises(TransientError):
        await polling.me()
    for _ in range(60 - 10 - 31):
        await acting.me()
    assert 429 not in {request.status for request in bench.plane.requests}


@pytest.mark.behaviour("RC-2")
async def test_a_time_that_cannot_be_read_is_long_ago_and_spoils_neither_the_list_nor_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("new", "strange", "old"):
        bench.plane.create_issue(bench.project, name)
    bench.plane.backdate("SHOP-1", 60)
    bench.plane.backdate("SHOP-3", 7200)
    listed, hour_ago = shapes.issue, bench.plane.clock.now() - timedelta(hours=1)

    def strangely(issue: Any, *rest: Any) -> Any:
        undated = {"updated_at": "yesterday", "created_at": None}
        return {**listed(issue, *rest), **(undated if issue.name == "strange" else {})}

    monkeypatch.setattr(shapes, "issue", strangely)
    found = [issue async for issue in bench.tracker.changed_issues(bench.project.id, hour_ago)]
    assert [issue.title for issue in found] == ["strange", "new"]
    assert (found[0].updated_at, found[0].created_at) == (LONG_AGO, LONG_AGO)
