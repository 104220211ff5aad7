"""Reviews of pull requests: Gitea's words, its silent drafts, and what counts as approval."""

import dataclasses

from conveyor.simulator.gitea.events import REVIEW_EVENTS
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.world import Pull, RefusalError, Repo, Review, User


@dataclasses.dataclass(frozen=True)
class NewReview:
    """A review to be given; an empty `commit_id` means the head of this moment."""

    event: str
    body: str = ""
    commit_id: str = ""


def give_review(forge: Forge, repo: Repo, pull: Pull, new: NewReview, actor: User) -> Review:
    """Store a review and tell about it.

    A word Gitea does not know (GitHub's `APPROVE`) becomes a silent draft: state PENDING, no webhook.
    Refuses with 422: a verdict on one's own or on a closed pull request, a rejection without text.
    """
    _refuse_review(pull, new, actor)
    state = new.event if new.event in REVIEW_EVENTS else "PENDING"
    official = state != "COMMENT" and repo.allows(actor, "write") and pull.base in repo.protections
    commit_id = new.commit_id or repo.head_sha(pull)
    review = Review(forge.world.next_id("review"), actor, state, new.body, commit_id, official, forge.now())
    pull.reviews.append(review)
    pull.requested_reviewers = [user for user in pull.requested_reviewers if user.login != actor.login]
    if state != "PENDING":
        forge.notifier.tell(repo, forge.teller(repo, actor).reviewed(pull, state, new.body))
    return review


def _refuse_review(pull: Pull, new: NewReview, actor: User) -> None:
    verdict = new.event in ("APPROVED", "REQUEST_CHANGES")
    if verdict and actor.login == pull.user.login:
        word = "approve" if new.event == "APPROVED" else "reject"
        raise RefusalError(422, f"{word} your own pull is not allowed")
    if verdict and pull.state == "closed":
        raise RefusalError(422, "Can't approve or reject a closed pull request")
    if new.event != "APPROVED" and not new.body.strip() and new.event in REVIEW_EVENTS:
        raise RefusalError(422, f"review event {new.event} requires a body or a comment")


def dismiss_review(pull: Pull, review_id: int) -> Review:
    """Take a review's weight away; no webhook tells about it. Refuses with 404."""
    for review in pull.reviews:
        if review.id == review_id:
            review.dismissed = True
            return review
    raise RefusalError(404, "The target couldn't be found.")


def official_verdicts(pull: Pull) -> dict[str, str]:
    """Return, for each reviewer who counts, the latest verdict that was not dismissed."""
    return {
        review.user.login: review.state
        for review in pull.reviews
        if review.official and not review.dismissed and review.state in ("APPROVED", "REQUEST_CHANGES")
    }
