"""The cache of frames: the same bits as without it, and nothing believed that is not proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from edge import features
from personalize import cache as cache_module
from personalize.cache import FrameCache
from personalize.features import FramedSession
from tests.personalize.toys import toy_session

SESSION = toy_session(1, 3.0, filtered=False)


class Made(Exception):
    pass


@pytest.fixture
def never_made(monkeypatch):
    """Inside, frames can only be read."""

    def refuse(*_):
        raise Made

    return lambda: monkeypatch.setattr(FramedSession, "of", refuse)


def assert_same(one, other):
    assert one.name == other.name
    for field in ("values", "valid"):
        found, expected = getattr(one, field), getattr(other, field)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(one.labels.classes, other.labels.classes)
    np.testing.assert_array_equal(one.labels.press_frame, other.labels.press_frame)
    assert one.labels.phrases == other.labels.phrases


@pytest.mark.parametrize("sides", [("left", "right"), ("right",)])
def test_the_same_bits_are_read_as_were_made(tmp_path, never_made, sides):
    session = toy_session(1, 3.0, sides=sides)
    expected = FramedSession.of(session, "named")
    cache = FrameCache(tmp_path / "frames")
    assert_same(cache.framed(session, "named"), expected)
    never_made()
    assert_same(cache.framed(session, "named"), expected)
    assert_same(cache.framed(session), replace(expected, name=session.name))


def test_a_recording_is_known_by_its_samples_not_its_name(tmp_path, never_made):
    cache = FrameCache(tmp_path)
    cache.framed(SESSION)
    never_made()
    cache.framed(replace(SESSION, name="other", user="other"))
    emg = SESSION.emg_uv.copy()
    emg[-1, 1, 15] += 1
    valid = SESSION.valid.copy()
    valid[-1, 0] = False
    for other in (
        replace(SESSION, emg_uv=emg),
        replace(SESSION, valid=valid),
        replace(SESSION, filtered=True),
    ):
        with pytest.raises(Made):
            cache.framed(other)


def test_another_front_end_makes_them_again(tmp_path, never_made, monkeypatch):
    cache = FrameCache(tmp_path)
    cache.framed(SESSION)
    never_made()
    monkeypatch.setattr(features, "POWER_FLOOR", 2e-6)
    with pytest.raises(Made):
        cache.framed(SESSION)


def flipped(content):
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


def emptied(content):
    """Zeros that fit, with the hash of what was there."""
    header = {"sha256": "0" * 64}
    return save({name: np.zeros_like(array) for name, array in load(content).items()}, header)


@pytest.mark.parametrize(
    "damage", [flipped, emptied, lambda c: c[:-1], lambda _: b"", lambda _: b"\xff" * 4096, lambda c: c[::-1]]
)
def test_what_is_damaged_is_made_again(tmp_path, never_made, damage):
    cache = FrameCache(tmp_path)
    expected = cache.framed(SESSION)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert_same(cache.framed(SESSION), expected)
    never_made()
    assert_same(cache.framed(SESSION), expected)


def test_anothers_file_under_its_name_is_not_believed(tmp_path, never_made):
    cache = FrameCache(tmp_path)
    cache.framed(SESSION)
    (first,) = tmp_path.iterdir()
    other = toy_session(2, 3.0, filtered=False)
    cache.framed(other)
    (second,) = set(tmp_path.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    never_made()
    with pytest.raises(Made):
        cache.framed(other)


def test_no_more_is_kept_than_was_allowed(tmp_path, never_made):
    sessions = [toy_session(seed, 2.0) for seed in range(4)]
    size = FramedSession.of(sessions[0]).values.nbytes
    cache = FrameCache(tmp_path, most_bytes=round(2.5 * size))
    for count, session in enumerate(sessions, 1):
        cache.framed(session)
        assert len(list(tmp_path.iterdir())) == min(count, 2)
    cache.framed(sessions[2])  # used again: the other one is the oldest
    cache.framed(sessions[0])
    never_made()
    cache.framed(sessions[2])
    cache.framed(sessions[0])
    for gone in (1, 3):
        with pytest.raises(Made):
            cache.framed(sessions[gone])


def test_where_nothing_can_be_written_frames_are_made(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "write_atomically", refuse)
    assert_same(FrameCache(tmp_path).framed(SESSION), FramedSession.of(SESSION))
    assert list(tmp_path.iterdir()) == []


def test_a_recording_too_short_for_a_frame(tmp_path):
    short = replace(
        SESSION, emg_uv=SESSION.emg_uv[:40], valid=SESSION.valid[:40], time_s=SESSION.time_s[:40], keys=()
    )
    for _ in range(2):
        assert FrameCache(tmp_path).framed(short).values.shape == (0, 2, 16, features.BINS)


def test_the_files_are_for_their_user_alone(tmp_path):
    FrameCache(tmp_path / "frames").framed(SESSION)
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "frames").iterdir()] == [0o600]
