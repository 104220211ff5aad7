"""A delivery of our own to the gateway: is it reachable from here, does it know the secret, does it refuse others."""

import hashlib
import hmac
from collections.abc import Mapping

import httpx
from msgspec import Struct

from conveyor.cli.doctor.finding import Clipboard

BODY = b'{"event":"conveyor_doctor","action":"asked"}'
"""Of a kind that neither Plane nor Gitea knows: the gateway ignores it and says so."""
SIGNATURES = {"plane": "X-Plane-Signature", "gitea": "X-Gitea-Signature"}
KINDS: Mapping[str, Mapping[str, str]] = {
    "plane": {"X-Plane-Event": "conveyor_doctor"},
    "gitea": {"X-Gitea-Event": "conveyor_doctor", "X-Gitea-Event-Type": "conveyor_doctor"},
}


class Answered(Struct, frozen=True, kw_only=True):
    """What the gateway said to one delivery."""

    status: int
    text: str
    is_ours: bool
    """Whether it is an answer such as a gateway gives."""

    @property
    def reason(self) -> str:
        """Return the gateway's word for a refusal; empty when there is none."""
        found = self.text.partition('"reason":"')[2]
        return found.partition('"')[0]


async def look(client: httpx.AsyncClient, source: str, url: str, secret: str, notes: Clipboard) -> bool:
    """Note how the gateway answers a signed and an unsigned delivery; whether it can be reached at all."""
    signature = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    try:
        unsigned = await _send(client, url, dict(KINDS[source]))
        signed = await _send(client, url, {**KINDS[source], SIGNATURES[source]: signature})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = f"no answer from {url}: {type(error).__name__}: {error}"
        notes.failed("reachable", told, "is the gateway running, and does public_url lead to it?")
        return False
    if not unsigned.is_ours:
        told = f"{url} answered {unsigned.status}, and not as a gateway does"
        notes.failed("reachable", told, advice_on(unsigned.status))
        return False
    notes.ok("reachable", f"the gateway answers at {url}")
    judge(unsigned, signed, notes)
    return True


async def _send(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> Answered:
    response = await client.post(url, content=BODY, headers={"Content-Type": "application/json", **headers})
    text = response.text.replace('": "', '":"')
    return Answered(status=response.status_code, text=text, is_ours='"status":"' in text)


def advice_on(status: int) -> str:
    """Return what to do about an answer that is not the gateway's."""
    if 300 <= status < 400:
        return "set public_url to where it redirects to: a redirect turns a delivery into a GET"
    if status in (401, 403):
        return "something in front asks for a login: let /webhook/ through, the gateway checks signatures itself"
    if status in (502, 503, 504):
        return "the proxy in front does not reach the gateway: is it running?"
    return "let /webhook/plane and /webhook/gitea through to the gateway, with their bodies as they are"


def judge(unsigned: Answered, signed: Answered, notes: Clipboard) -> None:
    """Say whether strangers are kept out and the sender is let in."""
    if "no_secret" in (unsigned.reason, signed.reason):
        told = "the running gateway has no webhook secret for this source"
        notes.failed("secret", told, "set webhook_secret and start the gateway again")
        return
    if unsigned.status == 401:
        notes.ok("unsigned", "an unsigned delivery is refused")
    else:
        told = f"an unsigned delivery was answered {unsigned.status}, expected 401"
        notes.failed("unsigned", told, "is it a gateway of Conveyor's that answers there?")
    if signed.status == 202:
        notes.ok("signed", "a delivery signed with our secret is let in (of an unknown kind, so it was ignored)")
    elif signed.reason == "bad_signature":
        told = "the running gateway has another secret than this configuration"
        notes.failed("signed", told, "start the gateway again; if that does not help, a proxy changes the bodies")
    else:
        told = f"a signed delivery was answered {signed.status}: {signed.text[:200]}"
        notes.failed("signed", told, "look into the gateway's log")
