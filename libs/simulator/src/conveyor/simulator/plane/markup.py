"""What Plane does to HTML it is given for a description: it cleans, wraps, and strips it for search."""

import re
from html.parser import HTMLParser

_SCRIPT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_VOID = {"br", "hr", "img", "input", "wbr"}


class _Outline(HTMLParser):
    """Counts what stands at the top level, and gathers the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.roots = 0
        self.bare_text = False
        self.text: list[str] = []
        self._depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.roots += self._depth == 0
        self._depth += tag not in _VOID

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag not in _VOID and self._depth > 0

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._depth == 0 and data.strip():
            self.bare_text = True


def cleaned(html: str) -> str:
    """The description as stored: no scripts, several roots wrapped in a div, bare text in a span."""
    safe = _SCRIPT.sub("", html)
    outline = _Outline(safe)
    if outline.roots > 1 or (outline.roots and outline.bare_text):
        return f"<div>{safe}</div>"
    return f"<span>{safe}</span>" if outline.bare_text else safe


def stripped(html: str) -> str:
    """The text without tags and, as Plane does it, with nothing between what the tags kept apart."""
    return "".join(_Outline(html).text)
