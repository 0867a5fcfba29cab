"""Enrolment: with keys, with prompts alone, with one band, and whatever cuts it short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.enroll import TAIL_S, AtPace, Ended, Enrollment, Progress, WhenDone, enroll
from edge.errors import NotEnoughData, SourceLost
from edge.recording import Heading, Recorder
from edge.replay import FileSource, SessionKeys
from edge.samples import SIDES, KeyPress, KeySource, Prompt, SampleChunk, SampleSource, Side, SourceInfo
from edge.session import ENTER_MARK, ON_KEYBOARD, PROMPTED, Session, read_session
from tests.edge.making import START_S, make_session, typed

PROMPTS = ["ab", "cde", "f"]


def keyed_session(duration_s: float = 6.0) -> Session:
    """Someone types the three prompts, five keys a second; the second with a mistake."""
    return make_session(round(duration_s * 2000), keys=typed("ab\ncx\bde\nf\n"), prompts=())


def recorder_for(path: Path, condition: str, sides: tuple[Side, ...] = SIDES) -> Recorder:
    heading = Heading(
        name="one", user="ada", condition=condition, sides=sides, filtered=False, simulated=True
    )
    return Recorder(path / "one.hdf5", heading)


def run(
    folder: Path,
    source: SampleSource,
    keys: KeySource | None,
    shown: list[str] | None = None,
    **options: object,
) -> Enrollment:
    condition = ON_KEYBOARD if keys is not None else PROMPTED
    recorder = recorder_for(folder, condition)
    show = (shown if shown is not None else []).append
    return asyncio.run(enroll(source, keys, iter(PROMPTS), recorder, show, **options))  # type: ignore[arg-type]


def test_with_keys_enter_ends_a_prompt(tmp_path: Path) -> None:
    session, shown = keyed_session(), list[str]()
    done = run(tmp_path, FileSource(session), SessionKeys(session), shown)
    found = read_session(done.path)
    enters = [key.press_s for key in session.keys if key.key == "Key.enter"]
    assert shown == PROMPTS
    assert found.on_keyboard
    assert found.keys == session.keys
    assert found.prompts == (
        Prompt("ab⏎", START_S, enters[0]),
        Prompt("cde⏎", enters[0], enters[1]),
        Prompt("f⏎", enters[1], enters[2]),
    )
    assert done.ended is Ended.PROMPTS
    assert (done.progress.prompts, done.progress.keys) == (3, len(session.keys))


def test_the_tail_after_the_last_key_is_recorded(tmp_path: Path) -> None:
    session = keyed_session()
    found = read_session(run(tmp_path, FileSource(session), SessionKeys(session)).path)
    assert TAIL_S <= found.time_s[-1] - session.keys[-1].press_s <= TAIL_S + 0.04
    np.testing.assert_array_equal(found.emg_uv, session.emg_uv[: len(found.time_s)])


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3000))
def test_chunk_sizes_do_not_change_the_truth(
    tmp_path_factory: pytest.TempPathFactory, chunk_samples: int
) -> None:
    session = keyed_session()
    folder = tmp_path_factory.mktemp("enrolments")
    source = FileSource(session, chunk_samples=chunk_samples)
    found = read_session(run(folder, source, SessionKeys(session), max_prompts=2).path)
    assert [prompt.text for prompt in found.prompts] == ["ab⏎", "cde⏎"]
    ends = [key.press_s for key in session.keys if key.key == "Key.enter"]
    assert [prompt.end_s for prompt in found.prompts] == ends[:2]


def test_prompts_alone_at_a_pace(tmp_path: Path) -> None:
    session = make_session(2000 * 12)
    shown: list[str] = []
    pace = AtPace(characters_per_s=2.0, reading_s=1.0)
    done = run(tmp_path, FileSource(session), None, shown, ending=pace)
    found = read_session(done.path)
    assert done.ended is Ended.PROMPTS
    assert not found.on_keyboard
    assert found.condition == PROMPTED
    assert found.keys == ()
    assert shown == [prompt.text for prompt in found.prompts] == PROMPTS
    for prompt in found.prompts:
        assert prompt.end_s - prompt.start_s == pytest.approx(1.0 + len(prompt.text) / 2, abs=0.033)


def test_prompts_alone_until_done(tmp_path: Path) -> None:
    switch = [START_S + 1, START_S + 1.5, START_S + 4]

    def done(now_s: float) -> bool:
        return bool(switch) and now_s >= switch[0] and bool(switch.pop(0))

    found = read_session(run(tmp_path, FileSource(make_session(12000)), None, ending=WhenDone(done)).path)
    assert [prompt.end_s - START_S for prompt in found.prompts] == pytest.approx([1, 1.5, 4], abs=0.033)
    assert [prompt.text for prompt in found.prompts] == PROMPTS


def test_an_enter_that_is_the_switch_is_part_of_the_prompt(tmp_path: Path) -> None:
    ending = WhenDone(lambda _: True, mark=ENTER_MARK)
    found = read_session(run(tmp_path, FileSource(make_session(12000)), None, ending=ending).path)
    assert [prompt.text for prompt in found.prompts] == ["ab⏎", "cde⏎", "f⏎"]


def test_stops_at_the_time_and_drops_the_unfinished_prompt(tmp_path: Path) -> None:
    session = keyed_session()
    done = run(tmp_path, FileSource(session), SessionKeys(session), max_s=2.0)
    found = read_session(done.path)
    assert done.ended is Ended.TIME
    assert found.duration_s == pytest.approx(2.0, abs=0.033)
    assert [prompt.text for prompt in found.prompts] == ["ab⏎"]


def test_the_sources_end_is_an_end(tmp_path: Path) -> None:
    session = keyed_session(duration_s=1.5)
    done = run(tmp_path, FileSource(session), SessionKeys(session))
    assert done.ended is Ended.SOURCE
    assert read_session(done.path).duration_s == 1.5


def test_one_band(tmp_path: Path) -> None:
    valid = np.ones((4000, 2), np.bool_)
    valid[:, 0] = False
    session = make_session(4000, sides=("right",), valid=valid)
    recorder = recorder_for(tmp_path, PROMPTED, ("right",))
    done = asyncio.run(enroll(FileSource(session), None, iter(PROMPTS), recorder, str))
    assert done.progress.missing == 0
    found = read_session(done.path)
    assert found.sides == ("right",)
    assert found.valid[:, 1].all()
    assert not found.valid[:, 0].any()


def test_progress_tells_what_was_typed_and_lost(tmp_path: Path) -> None:
    session = keyed_session()
    valid = session.valid.copy()
    valid[::4, 0] = False
    seen: list[Progress] = []
    source = FileSource(make_session(len(valid), valid=valid, keys=session.keys))
    run(tmp_path, source, SessionKeys(session), progress=seen.append)
    assert {"a", "ab", "c", "cx", "cd", "cde", "f"} <= {step.typed for step in seen}
    assert [step.prompts for step in seen] == sorted(step.prompts for step in seen)
    assert seen[-1].missing == pytest.approx(1 / 8)
    assert seen[-1].recorded_s == pytest.approx(len(seen) * 0.032)


class FragileSource:
    """Delivers some chunks of a session, then fails as told."""

    def __init__(self, session: Session, chunks: int, failure: BaseException) -> None:
        self.inner = FileSource(session)
        self.left, self.failure = chunks, failure
        self.closed = False

    @property
    def info(self) -> SourceInfo:
        return self.inner.info

    async def chunks(self) -> AsyncIterator[SampleChunk]:
        try:
            async for chunk in self.inner.chunks():
                if self.left == 0:
                    raise self.failure
                self.left -= 1
                yield chunk
        finally:
            self.closed = True


def test_a_lost_source_seals_and_names_the_path(tmp_path: Path) -> None:
    session = keyed_session()
    source = FragileSource(session, 40, SourceLost("the left band is gone"))
    with pytest.raises(
        SourceLost, match=r"the left band is gone; what was recorded is in .*one\.hdf5; .*--user ada --resume"
    ):
        run(tmp_path, source, SessionKeys(session))
    found = read_session(tmp_path / "one.hdf5")
    assert len(found.time_s) == 40 * 64
    assert [prompt.text for prompt in found.prompts] == ["ab⏎"]
    assert not list(tmp_path.glob("*.journal"))


def test_a_source_lost_at_once(tmp_path: Path) -> None:
    source = FragileSource(keyed_session(), 0, SourceLost("no band"))
    with pytest.raises(SourceLost, match="no band; nothing was recorded"):
        run(tmp_path, source, None)
    assert list(tmp_path.iterdir()) == []


def test_a_silent_source(tmp_path: Path) -> None:
    class Silent(FragileSource):
        async def chunks(self) -> AsyncIterator[SampleChunk]:
            for chunk in ():
                yield chunk

    with pytest.raises(NotEnoughData, match="no sample arrived"):
        run(tmp_path, Silent(keyed_session(), 0, SourceLost()), None)


def test_interruption_seals_what_is_there(tmp_path: Path) -> None:
    session = keyed_session()

    class Stalling(FragileSource):
        async def chunks(self) -> AsyncIterator[SampleChunk]:
            chunks = super().chunks()
            for _ in range(30):
                yield await anext(chunks)
            stalled.set()
            await asyncio.Event().wait()

    async def interrupt() -> None:
        recorder = recorder_for(tmp_path, ON_KEYBOARD)
        source = Stalling(session, 99, SourceLost())
        work = asyncio.create_task(enroll(source, SessionKeys(session), iter(PROMPTS), recorder, str))
        await stalled.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    stalled = asyncio.Event()
    asyncio.run(interrupt())
    found = read_session(tmp_path / "one.hdf5")
    assert len(found.time_s) == 30 * 64


def test_the_source_is_closed_when_enough_is_recorded(tmp_path: Path) -> None:
    session = keyed_session()
    source = FragileSource(session, 10_000, SourceLost())
    run(tmp_path, source, SessionKeys(session), max_s=0.5)
    assert source.closed


def test_any_other_failure_leaves_the_journal(tmp_path: Path) -> None:
    source = FragileSource(keyed_session(), 5, RuntimeError("a defect"))
    with pytest.raises(RuntimeError, match="a defect"):
        run(tmp_path, source, None)
    assert [path.name for path in tmp_path.iterdir()] == ["one.journal"]


def test_keys_and_condition_must_agree(tmp_path: Path) -> None:
    session = keyed_session()
    for keys, condition in ((SessionKeys(session), PROMPTED), (None, ON_KEYBOARD)):
        (tmp_path / condition).mkdir()
        recorder = recorder_for(tmp_path / condition, condition)
        with pytest.raises(ValueError, match="on_keyboard"):
            asyncio.run(enroll(FileSource(session), keys, iter(PROMPTS), recorder, str))
        recorder.close()


def test_a_key_before_its_prompt_was_shown_does_not_run_time_backwards(tmp_path: Path) -> None:
    early = (KeyPress("Key.enter", START_S - 0.01, START_S), *typed("\n"))
    session = make_session(8000, keys=early, prompts=())
    found = read_session(run(tmp_path, FileSource(session), SessionKeys(session), max_prompts=2).path)
    assert [(p.start_s, p.end_s) for p in found.prompts] == [(START_S, START_S), (START_S, START_S + 0.5)]
