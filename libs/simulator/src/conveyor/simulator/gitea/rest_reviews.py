"""REST: reviews of a pull request and the comments of its conversation."""

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.pulls import comment_pull, find_comment
from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.reviews import NewReview, dismiss_review, give_review
from conveyor.simulator.gitea.world import RefusalError


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    pull, issue = "/pulls/{number:int}", "/issues/{number:int}"
    return [
        in_repo("GET", f"{pull}/reviews", list_reviews, "read"),
        in_repo("POST", f"{pull}/reviews", create_review, "read"),
        in_repo("GET", pull + "/reviews/{id:int}", get_review, "read"),
        in_repo("POST", pull + "/reviews/{id:int}/dismissals", dismiss, "admin"),
        in_repo("GET", issue, get_issue, "read", "issue"),
        in_repo("GET", f"{issue}/comments", list_comments, "read", "issue"),
        in_repo("POST", f"{issue}/comments", create_comment, "read", "issue"),
        in_repo("GET", "/issues/comments/{id:int}", get_comment, "read", "issue"),
        in_repo("PATCH", "/issues/comments/{id:int}", edit_comment, "read", "issue"),
        in_repo("DELETE", "/issues/comments/{id:int}", delete_comment, "read", "issue"),
    ]


async def list_reviews(call: Call) -> Response:
    """List all reviews in the order they were given; which one counts is for the reader to find out."""
    shown, headers = call.page(call.pull.reviews)
    return JSONResponse([call.forge.shapes.review(call.repo, call.pull, one) for one in shown], headers=headers)


async def create_review(call: Call) -> Response:
    """Give a review: 200, and a word Gitea does not know makes a silent draft."""
    new = NewReview(call.word("event"), call.word("body"), call.word("commit_id"))
    review = give_review(call.forge, call.repo, call.pull, new, call.user)
    return JSONResponse(call.forge.shapes.review(call.repo, call.pull, review))


async def get_review(call: Call) -> Response:
    """Show one review."""
    for review in call.pull.reviews:
        if review.id == call.path["id"]:
            return JSONResponse(call.forge.shapes.review(call.repo, call.pull, review))
    raise RefusalError(404, "The target couldn't be found.")


async def dismiss(call: Call) -> Response:
    """Dismiss a review; nobody is told."""
    review = dismiss_review(call.pull, call.path["id"])
    return JSONResponse(call.forge.shapes.review(call.repo, call.pull, review))


async def get_issue(call: Call) -> Response:
    """Show a pull request as an issue."""
    return JSONResponse(call.forge.shapes.issue(call.repo, call.pull))


async def list_comments(call: Call) -> Response:
    """List the whole conversation; this list has no pages."""
    comments = call.pull.comments
    headers = {"X-Total-Count": str(len(comments))}
    return JSONResponse([call.forge.shapes.comment(call.repo, call.pull, one) for one in comments], headers=headers)


async def create_comment(call: Call) -> Response:
    """Write a comment."""
    if not call.word("body"):
        raise RefusalError(422, "[Body]: Required")
    comment = comment_pull(call.forge, call.repo, call.pull, call.word("body"), call.user)
    return JSONResponse(call.forge.shapes.comment(call.repo, call.pull, comment), 201)


async def get_comment(call: Call) -> Response:
    """Show one comment."""
    pull, comment = find_comment(call.repo, call.path["id"])
    return JSONResponse(call.forge.shapes.comment(call.repo, pull, comment))


async def edit_comment(call: Call) -> Response:
    """Change a comment's text."""
    pull, comment = find_comment(call.repo, call.path["id"])
    comment.body, comment.updated_at = call.word("body"), call.forge.now()
    event = call.forge.teller(call.repo, call.user).commented(pull, comment, "edited")
    call.forge.notifier.tell(call.repo, event)
    return JSONResponse(call.forge.shapes.comment(call.repo, pull, comment))


async def delete_comment(call: Call) -> Response:
    """Remove a comment."""
    pull, comment = find_comment(call.repo, call.path["id"])
    pull.comments.remove(comment)
    event = call.forge.teller(call.repo, call.user).commented(pull, comment, "deleted")
    call.forge.notifier.tell(call.repo, event)
    return Response(status_code=204)
