"""Walks through what was captured from a real Plane, in its order, and notes where an answer differs."""

import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.fidelity.comparing import differences
from tests.fidelity.targets import PlaneTarget

CASES: tuple[dict[str, Any], ...] = tuple(
    json.loads(line)
    for line in (Path(__file__).parent / "golden" / "plane-rest.jsonl").read_text(encoding="utf-8").splitlines()
)
KEPT = {"022": "label", "026": "item1", "114": "comment", "440": "project2"}
"""Cases whose answer is something that later ones speak of."""
_NAME = re.compile(r"<(\w+)>")


@dataclass
class Story:
    """One walk. `found` has what differs by case, `skipped` why a case was left out."""

    target: PlaneTarget
    names: dict[str, str] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    async def walk(self) -> None:
        await self._open()
        for case in CASES:
            number = case["name"][:3]
            prepare = getattr(self, f"_before_{number}", None)
            if prepare is not None and not (case.get("only") and self.target.is_real):
                await prepare()
            if why := self._reason_to_skip(case):
                self.skipped[case["name"]] = why
            else:
                await self._ask(case)

    async def close(self) -> None:
        """Leave a real server as it was found; comments and links go with their items."""
        for name in ("item1", "uikeys"):
            if name in self.names:
                await self.target.call("DELETE", f"work-items/{self.names[name]}/", by="human")
        if "label" in self.names:
            await self.target.call("DELETE", f"labels/{self.names['label']}/", by="human")
        await self.target.tidy()

    def _reason_to_skip(self, case: dict[str, Any]) -> str:
        if self.target.is_real and case.get("only"):
            return "would change the server beyond the suite's own items"
        if case["as"] not in (*self.target.keys, "nobody"):
            return f"no key for a {case['as']}"
        return ""

    async def _ask(self, case: dict[str, Any]) -> None:
        text = case.get("body")
        answer = await self.target.ask(
            case["method"], self._put(case["path"]), by=case["as"], text=None if text is None else self._put(text)
        )
        self.found[case["name"]] = [*self._of_head(case, answer), *self._of_body(case, answer)]
        number = case["name"][:3]
        if number in KEPT and answer.status_code < 300:
            self.names[KEPT[number]] = answer.json()["id"]
        if number == "026" and answer.status_code < 300:
            self.names["key1"] = f"{self.names['identifier']}-{answer.json()['sequence_id']}"
        if number == "452" and answer.status_code < 300:
            self.names["uikeys"] = answer.json()["id"]

    def _put(self, text: str) -> str:
        return _NAME.sub(lambda match: self.names.get(match[1], match[0]), text)

    def _of_head(self, case: dict[str, Any], answer: httpx.Response) -> list[str]:
        told, golden = answer.headers, case["headers"]
        got = {name: told[name] for name in ("content-type", "allow", "location") if name in told}
        got["limited"] = "x-ratelimit-remaining" in told and "x-ratelimit-reset" in told
        expected = {key: self._put(value) if isinstance(value, str) else value for key, value in golden.items()}
        found = [f"status {answer.status_code}, not {case['status']}"] if answer.status_code != case["status"] else []
        if "allow" in got and "allow" in expected:
            got["allow"], expected["allow"] = (", ".join(sorted(one["allow"].split(", "))) for one in (got, expected))
        return found + [
            f"header {name}: {got.get(name)!r}, not {expected.get(name)!r}"
            for name in sorted(got.keys() | expected.keys())
            if got.get(name) != expected.get(name)
        ]

    def _of_body(self, case: dict[str, Any], answer: httpx.Response) -> list[str]:
        golden = case["answer"]
        if golden is None or golden == "":
            return [f"a body of {len(answer.content)} bytes, not none"] if answer.content else []
        # A refusal's words are what tells one from another: they count on a real server too.
        is_strict = not self.target.is_real or case["status"] >= 400
        try:
            return list(differences(golden, answer.json(), is_strict=is_strict))
        except ValueError:
            return [f"no JSON: {answer.text[:200]}"]

    async def _open(self) -> None:
        target, mark = self.target, secrets.token_hex(4) if self.target.is_real else ""
        me, human = [await target.call("GET", "/api/v1/users/me/", by=by) for by in ("bot", "human")]
        self.names |= {"slug": target.slug, "project": target.project, "bot": me.json()["id"]}
        self.names |= {"human": human.json()["id"], "external": f"ext-1{mark}"}
        self.names |= {"state_name": f"Agent Review{mark}", "label_name": f"agent{mark}", "label2_name": f"bug{mark}"}
        self.names["identifier"] = (await target.call("GET", f"{target.place}/")).json()["identifier"]
        states = (await target.call("GET", "states/")).json()["results"]
        by_name = {state["name"]: state["id"] for state in states}
        self.names |= {"todo": by_name["Todo"], "in_progress": by_name["In Progress"], "done": by_name["Done"]}

    async def _before_006(self) -> None:
        """The bot is no member yet; only somebody who runs the server can take one out again."""
        if server := self.target.server:
            server.world.projects[self.target.project].members.pop(self.names["bot"])

    async def _before_016(self) -> None:
        body = {"name": self.names["state_name"], "color": "#ff00aa", "group": "started", "description": "d"}
        self.names["state"] = (await self.target.made("states/", **body))["id"]

    async def _before_040(self) -> None:
        for number, by in ((2, "bot"), (3, "human"), (4, "human"), (5, "human"), (6, "human"), (7, "human")):
            name = "Second" if number == 2 else f"Item {number}"
            self.names[f"item{number}"] = (await self.target.made("work-items/", by=by, name=name))["id"]

    async def _before_106(self) -> None:
        self.names["label2"] = (await self.target.made("labels/", name=self.names["label2_name"]))["id"]
        both = [self.names["label"], self.names["label2"]]
        await self.target.call("PATCH", f"work-items/{self.names['item1']}/", labels=both)

    async def _before_110(self) -> None:
        both = [self.names["human"], self.names["bot"]]
        await self.target.call("PATCH", f"work-items/{self.names['item1']}/", assignees=both)

    async def _before_126(self) -> None:
        item1, item2, item3 = (self.names[f"item{number}"] for number in (1, 2, 3))
        await self.target.call("PATCH", f"work-items/{item1}/", by="human", state=self.names["done"])
        path = f"work-items/{item3}/relations/"
        await self.target.made(path, relation_type="blocked_by", issues=[item1, item2])

    async def _before_228(self) -> None:
        if server := self.target.server:
            project = server.world.projects[self.target.project]
            dates = {"start_date": "2026-12-01", "target_date": "2026-12-09"}
            more = {"labels": ["agent"], "assignees": [self.names["bot"]], "state": "Done", "sort_order": 12345.0}
            html = "<p>changed by ui</p>"
            issue = server.create_issue(project, "From UI", html, priority="high", **dates, **more)
            server.archive_issue(issue)
            self.names["archived"] = issue.id

    async def _before_460(self) -> None:
        body = {"comment_html": "<p>a human's</p>"}
        path = f"work-items/{self.names['item1']}/comments/"
        self.names["comment2"] = (await self.target.made(path, by="human", **body))["id"]
