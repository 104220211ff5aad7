"""What webhooks can tell: the kinds of events, and of pull requests' moves, that the gateway makes of deliveries.

What stands here the reconciler must find without a webhook (architecture, rule 8); a test for each is generated from
these lists, and another holds them against what the gateway really builds.
"""

from conveyor.contracts.events import (
    BranchPushed,
    CommentAdded,
    CommitStatusChanged,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
    ReviewValue,
    VerdictGiven,
    Via,
)

WEBHOOK_EVENTS = (
    IssueStarted,
    IssueChanged,
    VerdictGiven,
    CommentAdded,
    IssueClosed,
    BranchPushed,
    CommitStatusChanged,
    PullRequestChanged,
    ReviewSubmitted,
)
"""Every kind of event whose origin can be a webhook."""
WEBHOOK_VERDICTS = frozenset({Via.STATUS, Via.COMMENT})
"""The doors for verdicts that lead through the tracker; the others are our own."""


def webhook_kinds() -> tuple[str, ...]:
    """Return every kind a webhook can tell, told apart where one type stands for several changes of the world."""
    apart: dict[type, tuple[str, ...]] = {
        VerdictGiven: tuple(sorted(WEBHOOK_VERDICTS)),
        PullRequestChanged: tuple(PullRequestAction),
        ReviewSubmitted: tuple(ReviewValue),
    }
    return tuple(
        f"{kind.__name__}:{part}" if part else kind.__name__
        for kind in WEBHOOK_EVENTS
        for part in apart.get(kind, ("",))
    )
