"""Where decoded text goes."""

from __future__ import annotations

from typing import Protocol, TextIO

from edge.edits import Edit


class TextSink(Protocol):
    """Takes edits in order. It is never asked to erase what it did not type."""

    def apply(self, edit: Edit) -> None:
        """Erase, then type."""
        ...


class StreamSink:
    """Writes to a terminal: erasing steps back over a character, as far as the line goes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def apply(self, edit: Edit) -> None:
        """Erase, then type."""
        self._stream.write("\b \b" * edit.erase + edit.insert)
        self._stream.flush()
