"""A command of the user's, run in the agent's place: its exit code is what it says (SE-8)."""

import pytest

from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from tests.scenarios.runner.rig import Eventually, Rig, running


@pytest.mark.behaviour("SE-8")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, (OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED)),
        (3, (OutcomeKind.FAILED, OutcomeReason.EXIT_CODE)),
    ],
)
async def test_a_plain_command_speaks_by_its_exit_code(
    code: int, said: tuple[OutcomeKind, OutcomeReason], rig: Rig, eventually: Eventually
) -> None:
    agent = rig.agent(command=("sh", "-c", f"cat >/dev/null; echo checked; exit {code}"), output="text")
    async with running(rig.settings(agent)):
        command = await rig.order("tester")
        outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.reason, outcome.verdict) == (*said, "")
    assert b"checked" in await rig.log(command)


@pytest.mark.behaviour("RU-3")
async def test_a_prompt_can_lie_in_a_file_the_command_names(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent(command=("sh", "-c", 'cat >/dev/null; head -c 400 "$1"', "sh", "{prompt_file}"), output="text")
    async with running(rig.settings(agent)):
        command = await rig.order("tester")
        outcome = await rig.outcome(command, eventually)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert b"SHOP-12" in await rig.log(command)
