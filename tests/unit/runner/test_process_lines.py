"""Lines come out the same however the bytes were cut."""

from hypothesis import given
from hypothesis import strategies as st

from conveyor.runner.process import LineSplitter


@given(st.lists(st.binary(max_size=8) | st.just(b"\n"), max_size=30))
def test_lines_do_not_depend_on_how_the_chunks_are_cut(chunks: list[bytes]) -> None:
    splitter = LineSplitter(10_000)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.close()
    whole = b"".join(chunks).split(b"\n")
    assert lines == (whole if whole[-1] else whole[:-1])


def test_overlong_line_is_dropped_and_the_next_one_is_whole() -> None:
    splitter = LineSplitter(4)
    assert splitter.feed(b"1234\n12345\nab") == [b"1234"]
    assert splitter.feed(b"c\n") == [b"abc"]
    assert splitter.overlong == 1
    assert splitter.close() == []
