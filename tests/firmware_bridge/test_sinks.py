"""A terminal shows the text that the edits amount to."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from edge.edits import Edit
from firmware_bridge.sinks import StreamSink


def on_screen(written: str) -> str:
    """The line that a terminal shows: a backspace moves, and what is typed there replaces."""
    line: list[str] = []
    cursor = 0
    for character in written:
        if character == "\b":
            cursor = max(0, cursor - 1)
        else:
            line[cursor : cursor + 1] = [character]
            cursor += 1
    assert not "".join(line[cursor:]).strip()  # what is erased leaves blanks, and the cursor before them
    return "".join(line[:cursor])


@given(st.lists(st.tuples(st.integers(0, 5), st.text("abc '", max_size=5))))
def test_the_line_on_screen_is_the_text(edits):
    stream, text = io.StringIO(), ""
    sink = StreamSink(stream)
    for erase, insert in edits:
        edit = Edit(min(erase, len(text)), insert)
        sink.apply(edit)
        text = edit.apply(text)
        assert on_screen(stream.getvalue()) == text


def test_each_edit_is_seen_at_once():
    class Buffered(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed = len(self.getvalue())

    stream = Buffered()
    StreamSink(stream).apply(Edit(0, "hi"))
    assert stream.flushed == 2
