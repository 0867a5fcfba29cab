"""What was heard live: a key keeps the time since which it stands on the screen."""

from __future__ import annotations

from edge.pipeline import HeardKey, Reading
from qwrist.verbs.live import LiveSession


def keys(text: str) -> list[HeardKey]:
    return [HeardKey(c, ord(c) - ord("a"), 0.0, 0.0) for c in text]


def test_a_key_that_stays_keeps_its_time_and_one_that_changes_does_not() -> None:
    session = LiveSession()
    session.hear(Reading([], keys("tgx")), 1.0)
    session.hear(Reading(keys("t"), keys("hxe")), 2.0)
    session.hear(Reading(keys("hx"), []), 3.0)
    assert session.text == "thx"
    assert [heard.at_s for heard in session.heard] == [1.0, 2.0, 2.0]
    session.hear(Reading(keys("e"), []), 4.0)
    assert session.text == "thxe"
    assert session.settled == 4
