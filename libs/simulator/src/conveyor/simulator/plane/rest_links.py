"""REST routes of an issue's links, which Plane tells nobody about."""

from conveyor.simulator.plane import paging, refusals, shapes
from conveyor.simulator.plane.door import Answer, Call
from conveyor.simulator.plane.world import Link


def _links(call: Call) -> list[Link]:
    issue_id = call.issue(readable=True).id
    return [link for link in call.world.links.values() if link.issue_id == issue_id]


def list_links(call: Call) -> Answer:
    """GET links/."""
    return Answer(paging.page([shapes.link(one, call.world) for one in _links(call)], call.query))


def create_link(call: Call) -> Answer:
    """POST links/ {title, url}: web addresses only, each once."""
    url = str(call.body.get("url", ""))
    if not url.startswith(("http://", "https://")):
        raise refusals.invalid("url", "Invalid URL format.")
    if any(link.url == url for link in _links(call)):
        raise refusals.error(400, "URL already exists for this Issue")
    link = call.tracker.create_link(call.issue(), str(call.body.get("title") or ""), url, call.user)
    return Answer(shapes.link(link, call.world), 201)


def _link(call: Call) -> Link:
    for link in _links(call):
        if link.id == str(call.place["link_id"]):
            return link
    raise refusals.not_found()


def get_link(call: Call) -> Answer:
    """GET one link."""
    return Answer(shapes.link(_link(call), call.world))


def delete_link(call: Call) -> Answer:
    """DELETE a link."""
    del call.world.links[_link(call).id]
    return Answer(None, 204)
