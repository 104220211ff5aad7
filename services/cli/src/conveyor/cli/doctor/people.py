"""Who is in a tracker project: whether the bot stands apart from the people, and who may approve."""

from conveyor.cli.doctor.finding import Clipboard
from conveyor.contracts.events import Actor, Role
from conveyor.contracts.observed import TrackerMember
from conveyor.contracts.project import Project
from conveyor.stage_engine.core.approvers import may_decide


def look_at_people(members: tuple[TrackerMember, ...], project: Project, bot_id: str, notes: Clipboard) -> None:
    """Say whether the bot stands apart from the people, and who may approve."""
    bot = next((member for member in members if member.user_id == bot_id), None)
    others = [member for member in members if member.user_id != bot_id]
    if bot is None:
        told = "the key's user is no member of the project: it may neither move issues nor comment"
        notes.failed("bot user", told, "add it to the project as a member")
    elif bot.name in project.approvers:
        told = f"{bot.name} is the key's user and one of the approvers, but what the bot does is never listened to"
        advice = "make the key under an account that no person uses, or take it off approvers"
        notes.failed("bot user", told, advice)
    elif not others:
        told = f"{bot.name} is the only member: is that a person's account? What it does is never listened to"
        advice = "make an account for the bot alone, with a key of its own"
        notes.failed("bot user", told, advice)
    elif bot.role == "guest":
        notes.failed("bot user", f"{bot.name} is a guest: it may not move issues", "make it a member")
    else:
        notes.ok("bot user", f"{bot.name}, beside {len(others)} people; nobody may work under it")
    _approvers([member for member in others if _may(member, project)], project, notes)


def _may(member: TrackerMember, project: Project) -> bool:
    known = {str(role) for role in Role}
    role = Role(member.role) if member.role in known else Role.UNKNOWN
    return may_decide(project.approvers, Actor(actor_id=member.user_id, name=member.name, role=role))


def _approvers(found: list[TrackerMember], project: Project, notes: Clipboard) -> None:
    if found:
        names = ", ".join(sorted(member.name for member in found)[:5]) + (" …" if len(found) > 5 else "")
        notes.ok("approvers", f"{len(found)} may approve: {names}")
    else:
        told = f"no member is one of {', '.join(project.approvers)}: nobody can approve in Plane"
        notes.warning("approvers", told, "set approvers of the project, or invite them")
