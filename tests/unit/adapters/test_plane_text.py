import pytest

from conveyor.adapters.plane import html_of, text_of


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
