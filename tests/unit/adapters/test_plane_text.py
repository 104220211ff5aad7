import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.adapters.plane import html_of, text_of
from conveyor.adapters.plane.text import LONGEST_COMMENT, comment_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("<p></p>", ""),
        (
            "<div><p>Hello <strong>world</strong> é</p><ul><li>a</li><li><p>b</p></li></ul></div>",
            "Hello world é\n- a\n- b",
        ),
        ("<p>one<br>two</p><p>three</p>", "one\ntwo\nthree"),
        ("<p>a &lt;b&gt; &amp; c</p>", "a <b> & c"),
        ("<p>\n  spaced \n  out  </p>", "spaced out"),
        ("<pre><code>def f():\n    return 1\n</code></pre><p>after</p>", "def f():\n    return 1\nafter"),
        ("<p>Hi</p><script>alert(1)</script><style>p{}</style>", "Hi"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a | b"),
        ("a < b", "a < b"),
        ("<p>Depends-on: ET-1</p><p>rest</p>", "Depends-on: ET-1\nrest"),
        ("<p>a<!-- not <b>seen</b> --> b</p><!--><p>c</p>", "a b\nc"),
        ("<a title='x > y' href=z>link</a>", "link"),
        ("<P>Upper</P><SCRIPT>if (a</b) {}</SCRIPT><p>case</p>", "Upper\ncase"),
        ("before <a href=never closed", "before <a href=never closed"),
        ("<![x[ :approved:", "<![x[ :approved:"),
        ("a <![foo[x]]> b", "a b"),
        ("&#65;&#x42;&#1114112;&#" + "9" * 5000 + ";", "AB\ufffd\ufffd"),
    ],
)
def test_html_becomes_text_with_blocks_on_their_own_lines(markup: str, text: str) -> None:
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("", "<p></p>"),
        ("a <b> & c", "<p>a &lt;b&gt; &amp; c</p>"),
        ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
        ("- a\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
        (
            "see https://a.test/x?y=1&z=2.",
            '<p>see <a href="https://a.test/x?y=1&amp;z=2">https://a.test/x?y=1&amp;z=2</a>.</p>',
        ),
        ("```python\nx = '<'\n```", "<pre><code>x = &#x27;&lt;&#x27;</code></pre>"),
    ],
)
def test_text_becomes_html_that_shows_it(text: str, markup: str) -> None:
    assert html_of(text) == markup


@pytest.mark.parametrize(
    "text", ["a <b> & c", "one\ntwo", "- a\n- b", "<script>alert(1)</script>", "\"quoted\" & 'so'"]
)
def test_what_we_write_reads_back_as_it_was(text: str) -> None:
    assert text_of(html_of(text)) == text


HOSTILE = ["<", "<a ", "<a/", "<a b='", '<a b="', "<!", "<!--", "<?", "</", "<![x[", "<![CDATA[", "&#9", "<b>x</b>"]
FRAGMENTS = [*HOSTILE, "<p>", "</p>", ">", "'", '"', "]]>", "-->", "script", "<pre>", "\n", " ", "x", ";", "="]


@pytest.mark.behaviour("GW-3")
@pytest.mark.parametrize("piece", HOSTILE)
def test_no_comment_takes_longer_to_read_than_its_length_deserves(piece: str) -> None:
    """Plane passes a comment on as it was written: one must not hold up every other delivery for minutes."""
    begun = time.process_time()
    text_of(piece * (200_000 // len(piece)))
    assert time.process_time() - begun < 5


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_whatever_anybody_writes_can_be_read(markup: str) -> None:
    text_of(markup)


def test_a_comment_is_cut_before_its_task_fits_into_no_message() -> None:
    """A pasted log of a megabyte is an answer like any other; the rest of it stands on the issue."""
    assert comment_text(f"<p>{'é' * LONGEST_COMMENT}</p>") == "é" * LONGEST_COMMENT
    words = comment_text(f"<p>{'é' * 500_000}</p>")
    assert words.startswith("é" * LONGEST_COMMENT + "\n[cut here")
    assert 3 * len(words.encode()) < 500_000
