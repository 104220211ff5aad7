"""Between Plane's HTML and plain text: what an agent reads of an issue, and what people read of our comments."""

import html
import re

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h2", "h3"}
    | {"h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_RAW_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}
"""Inside of these nothing is a tag but their own end."""
_EMPTY = frozenset({"", "<p></p>"})
"""What Plane holds of most descriptions."""
_SPACES = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])")
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)(?:[^=>]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>""")
_ASIDE = re.compile(r"<!---?>|<!--(?s:.*?)-->|<(?:[!?]|/(?![a-zA-Z]))(?!--)[^>]*+>")
"""A comment, a declaration, or what browsers take for one."""
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
"""Beyond every character there is; Python refuses to read numbers of thousands of digits."""
LONGEST_COMMENT = 32_000
"""Characters. An answer travels in the event, the task's record and the run's order: thrice must fit into a message."""
_CUT = "\n[cut here: the whole comment stands on the issue]"
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")
_BULLET = re.compile(r"\s*[-*] +")


class _Lines:
    """Collects lines: a block starts and ends one, `pre` keeps its spaces, scripts and styles say nothing."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._line: list[str] = []
        self._silent = 0
        self._pre = 0

    def start(self, tag: str) -> None:
        """Take in the start of an element."""
        self._silent += tag in _SILENT
        self._pre += tag == "pre"
        if tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._close()
            if tag == "li":
                self._line = ["- "]
        elif tag in ("td", "th") and self._line:
            self._line.append(" | ")

    def end(self, tag: str) -> None:
        """Take in the end of an element."""
        self._silent -= tag in _SILENT and self._silent > 0
        self._pre -= tag == "pre" and self._pre > 0
        if tag in _BLOCKS:
            self._close()

    def say(self, words: str) -> None:
        """Take in what stands between two tags."""
        if self._silent or not words:
            return
        words = html.unescape(_NO_CHARACTER.sub("\ufffd", words))
        if self._pre:
            first, *rest = words.split("\n")
            self._put(first)
            for line in rest:
                self._break()
                self._put(line)
            return
        words = _SPACES.sub(" ", words)
        self._put(words.lstrip() if not self._line or self._line[-1].endswith(" ") else words)

    def text(self) -> str:
        """Return all lines."""
        self._break()
        return "\n".join(line.rstrip() for line in self._done).strip()

    def _put(self, words: str) -> None:
        if words:
            self._line.append(words)

    def _break(self) -> None:
        self._done.append("".join(self._line))
        self._line = []

    def _close(self) -> None:
        """End the line unless nothing stands on it yet."""
        if "".join(self._line).strip() not in ("", "-"):
            self._break()


def text_of(markup: str) -> str:
    """Return the text of some HTML: tags stripped, blocks on lines of their own, list items after a dash.

    Whatever anybody writes: it never fails, takes time in proportion to the length, and what is never closed is text.
    """
    if markup in _EMPTY:
        return ""
    lines, at = _Lines(), 0
    while (found := _MARKUP.search(markup, at)) is not None:
        lines.say(markup[at : found.start()])
        at = found.start()
        if tag := _TAG.match(markup, at):
            at = tag.end()
            (lines.end if tag[1] else lines.start)(tag[2].lower())
            if not tag[1] and (raw_end := _RAW_ENDS.get(tag[2].lower())):
                ending = raw_end.search(markup, at)
                at = ending.start() if ending else len(markup)
            continue
        aside = _ASIDE.match(markup, at)
        if aside is None:
            break
        at = aside.end()
    lines.say(markup[at:])
    return lines.text()


def comment_text(markup: str) -> str:
    """Return the text of a comment's HTML; of one beyond `LONGEST_COMMENT` its beginning, and that it was cut."""
    text = text_of(markup)
    return text if len(text) <= LONGEST_COMMENT else text[:LONGEST_COMMENT] + _CUT


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
