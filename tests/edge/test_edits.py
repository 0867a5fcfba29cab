"""Edits: a text field that follows the decoder, and never loses what the decoder did not type."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.charset import BACKSPACE, CHARSET, ENTER, SHIFT, SPACE
from edge.edits import UNCHANGED, Edit, Shown, edit_step, revise, text_of

BACK = CHARSET.index(BACKSPACE)
# backspaces are common, so that texts are often erased to their start and beyond
streams = st.lists(st.one_of(st.just(BACK), st.sampled_from([0, 1, 27, 95, 96, 97])), max_size=30)


@dataclass
class CaptureSink:
    """A text field with someone's text in it; it fails a test that erases a character of theirs."""

    theirs: str
    ours: str = field(default="", init=False)

    def apply(self, edit: Edit) -> None:
        assert 0 <= edit.erase <= len(self.ours), f"{edit} erases what was not typed by us"
        self.ours = edit.apply(self.ours)


def applied_one_by_one(labels: list[int]) -> str:
    """What the labels mean, written out without edits."""
    text = ""
    for label in labels:
        key = CHARSET.keys[label]
        if key == BACKSPACE:
            text = text[:-1]
        elif key != SHIFT:
            text += {SPACE: " ", ENTER: "\n"}.get(key, key)
    return text


@given(streams, st.lists(st.integers(0, 30), max_size=6))
def test_edits_of_a_stream_leave_the_text_that_its_labels_mean(labels: list[int], at: list[int]) -> None:
    sink, standing = CaptureSink("their letter"), 0
    edges = [0, *sorted(at), len(labels)]
    for start, stop in pairwise(edges):
        standing, edit = edit_step(standing, labels[start:stop])
        sink.apply(edit)
        assert standing == len(sink.ours)
    assert sink.ours == applied_one_by_one(labels) == text_of(labels)


@given(streams)
def test_an_edit_types_nothing_that_it_would_erase(labels: list[int]) -> None:
    standing, edit = edit_step(3, labels)
    assert len(edit.insert) + edit.erase <= len(labels)
    assert standing == 3 - edit.erase + len(edit.insert)


def test_backspace_at_the_start_of_our_text_does_nothing() -> None:
    assert edit_step(0, [BACK]) == (0, Edit(0, ""))
    assert edit_step(1, [BACK, BACK, 0]) == (1, Edit(1, "a"))


def test_named_keys() -> None:
    labels = CHARSET.labels([SHIFT, "A", SPACE, "b", ENTER])
    assert text_of(labels) == "A b\n"


@given(st.lists(st.tuples(streams, streams), max_size=8))
def test_a_screen_follows_every_revision(readings: list[tuple[list[int], list[int]]]) -> None:
    sink, shown, said = CaptureSink("someone's"), Shown(), list[int]()
    for settled, tentative in readings:
        shown, edit = revise(shown, settled, tentative)
        sink.apply(edit)
        said += settled
        assert shown.settled == applied_one_by_one(said)
        assert sink.ours == shown.text == applied_one_by_one([*said, *tentative])


@given(streams, streams)
def test_what_is_said_again_is_not_typed_again(settled: list[int], tentative: list[int]) -> None:
    shown, _ = revise(Shown(), settled, tentative)
    assert revise(shown, [], tentative) == (shown, UNCHANGED)
    assert revise(shown, tentative, [])[1] == UNCHANGED


def test_only_what_differs_is_erased() -> None:
    shown, _ = revise(Shown(), CHARSET.labels("the "), CHARSET.labels("quixk"))
    assert revise(shown, CHARSET.labels("qui"), CHARSET.labels("ck "))[1] == Edit(2, "ck ")
