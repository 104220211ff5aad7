"""Who may approve, reject and answer (SE-7): people of the project's approvers, never guests or the bot."""

from conveyor.contracts.events import Actor, Role

_NEVER = frozenset({Role.GUEST, Role.BOT, Role.UNKNOWN})


def may_decide(approvers: tuple[str, ...], actor: Actor | None) -> bool:
    """Whether this actor's word moves a task; operators are known by their token and always may."""
    if actor is None or actor.role in _NEVER:
        return False
    if actor.role is Role.OPERATOR:
        return True
    return f"role:{actor.role}" in approvers or actor.name in approvers
