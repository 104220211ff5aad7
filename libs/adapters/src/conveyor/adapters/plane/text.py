"""Between Plane's HTML and plain text: what an agent reads of an issue, and what people read of our comments."""

import html
import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h2", "h3"}
    | {"h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_EMPTY = frozenset({"", "<p></p>"})
"""What Plane holds of most descriptions."""
_SPACES = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")
_BULLET = re.compile(r"\s*[-*] +")


class _Text(HTMLParser):
    """Collects lines: a block starts and ends one, `pre` keeps its spaces, scripts and styles say nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._silent = 0
        self._pre = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        self._pre += tag == "pre"
        if tag == "br":
            self.lines.append("")
        elif tag in _BLOCKS:
            self._break()
            if tag == "li":
                self.lines[-1] = "- "
        elif tag in ("td", "th") and self.lines[-1]:
            self.lines[-1] += " | "

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT and self._silent > 0
        self._pre -= tag == "pre" and self._pre > 0
        if tag in _BLOCKS:
            self._break()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._pre:
            first, *rest = data.split("\n")
            self.lines[-1] += first
            self.lines.extend(rest)
            return
        text = _SPACES.sub(" ", data)
        self.lines[-1] += text.lstrip() if self.lines[-1].endswith(" ") or not self.lines[-1] else text

    def _break(self) -> None:
        if self.lines[-1].strip() not in ("", "-"):
            self.lines.append("")


def text_of(markup: str) -> str:
    """Return the text of some HTML: tags stripped, blocks on lines of their own, list items after a dash."""
    if markup in _EMPTY:
        return ""
    reader = _Text()
    reader.feed(markup)
    reader.close()
    return "\n".join(line.rstrip() for line in reader.lines).strip()


def html_of(text: str) -> str:
    """Return HTML that shows plain text: paragraphs, dash lists, ``` fences and links; everything else escaped."""
    parts: list[str] = []
    for number, piece in enumerate(text.replace("\r\n", "\n").split("```")):
        if number % 2:
            parts.append(f"<pre><code>{html.escape(_without_language(piece))}</code></pre>")
        else:
            parts.extend(_block(block) for block in re.split(r"\n\s*\n", piece) if block.strip())
    return "".join(parts) or "<p></p>"


def _without_language(piece: str) -> str:
    first, line_break, rest = piece.partition("\n")
    return (rest if line_break and re.fullmatch(r"[\w+-]*", first) else piece).strip("\n")


def _block(block: str) -> str:
    lines = block.strip("\n").split("\n")
    bullets = [_BULLET.match(line) for line in lines]
    if all(bullets):
        items = (
            f"<li><p>{_inline(line[match.end() :])}</p></li>"
            for line, match in zip(lines, bullets, strict=True)
            if match
        )
        return f"<ul>{''.join(items)}</ul>"
    return f"<p>{'<br>'.join(_inline(line) for line in lines)}</p>"


def _inline(line: str) -> str:
    pieces, end = [], 0
    for match in _LINK.finditer(line):
        address = html.escape(match.group())
        pieces += [html.escape(line[end : match.start()]), f'<a href="{address}">{address}</a>']
        end = match.end()
    return "".join([*pieces, html.escape(line[end:])])
