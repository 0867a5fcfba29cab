"""The alignment behind the page counts what the CER counts, and loses nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.scoring import score
from personalize.html_report.aligned import align, by_finger, by_hand, by_key, cer_of, mistaken

LABELS = st.lists(st.sampled_from(CHARSET.labels("aA1!f jP⏎⌫")), max_size=30)


@given(meant=LABELS, said=LABELS)
def test_it_counts_what_the_cer_counts(meant: list[int], said: list[int]) -> None:
    pairs = align(meant, said)
    assert cer_of(pairs) == score(meant, said)
    assert [pair.meant for pair in pairs if pair.meant is not None] == meant
    assert [pair.said for pair in pairs if pair.said is not None] == said


@given(meant=LABELS, said=LABELS)
def test_keys_fingers_and_hands_add_up_to_the_whole(meant: list[int], said: list[int]) -> None:
    pairs = align(meant, said)
    whole = score(meant, said)
    for counts in (by_key(pairs), by_finger(pairs), by_hand(pairs)):
        parts = counts.values()
        assert sum(count.meant for count in parts) == whole.length
        assert sum(count.inserted for count in parts) == whole.insertions
        assert sum(count.wrong + count.missed for count in parts) == whole.substitutions + whole.deletions


def test_every_key_has_a_finger_and_errors_go_to_the_one_that_was_meant() -> None:
    everything = list(range(len(CHARSET.keys)))
    assert sum(count.meant for count in by_finger(align(everything, everything)).values()) == len(everything)
    pairs = align(CHARSET.labels("Rrrj"), CHARSET.labels("trtj"))
    assert by_finger(pairs)["left index"] == (3, 2, 0, 0)
    assert by_hand(pairs)["right"] == (1, 0, 0, 0)
    assert mistaken(pairs) == {"r": ("t", 2)}
