"""From the journal of a recording to the session file, whatever cut the recording short.

The journal is dropped only once the session file has been read back and found to hold it. A recording that
continues a session replaces its file, atomically: at every moment one of the two is there, whole.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from glob import escape
from itertools import chain, count
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from edge import recording_frames as frames
from edge.errors import BadSession, NotEnoughData
from edge.files import locked, sync_folder
from edge.journal import SUFFIX, Damage, JournalReader
from edge.recording_frames import Continued, Heading, Kind
from edge.samples import (
    ELECTRODES,
    WRISTS,
    Bool,
    Float32,
    Float64,
    KeyPress,
    Prompt,
    SampleChunk,
    SegmentStart,
)
from edge.session import Session, read_session, write_session
from edge.session_layout import check_length

# What a heading and a session both say.
_SAID: Final = ("name", "user", "condition", "sides", "filtered", "simulated", "source", "plan")


class Recovered(NamedTuple):
    """What became of a journal."""

    path: Path  # of the session
    samples: int  # that the journal held; 0 where another process has just sealed it
    missing: int  # that were in damaged frames, and are declared missing
    damage: Damage
    kept_aside: Path | None  # the journal, where a part of it is damaged


def recover(journal: Path) -> Recovered:
    """Seal a journal into the session file beside it, and drop the journal.

    Safe to repeat after a crash at any point; needs memory for one session, for two where it continues one. A
    journal of which a part is damaged is kept as `.journal.damaged`. Raises NotEnoughData if it holds no
    sample, BadSession if it is no journal or still being written, another session stands in its place or the
    file does not read back equal.
    """
    check_journal(journal)
    path = _session_path(journal)
    try:
        with locked(journal):
            for left in path.parent.glob(f".{escape(path.name)}.*"):  # by a sealing that was killed
                left.unlink()
            return _seal(JournalReader(journal), path)
    except BlockingIOError:
        raise BadSession(
            f"{journal} is being recorded by another process; wait for its end, or end it"
        ) from None
    except FileNotFoundError:
        if journal.exists():
            raise
        check_journal(journal)
        return Recovered(path, 0, 0, Damage(), None)  # another process has sealed it


def check_journal(journal: Path) -> None:
    """Raise BadSession unless `journal` is one that can be sealed, or was one until it became its session."""
    if journal.is_dir():
        raise BadSession(f"{journal} is a folder; name the journals in it")
    if journal.suffix != SUFFIX:
        raise BadSession(f"{journal} is no journal, whose name ends in {SUFFIX}; name one of those")
    if not journal.exists():
        if _session_path(journal).exists():
            return
        raise BadSession(f"there is no {journal}, and no session that was made of it")
    if not journal.is_file():
        raise BadSession(f"{journal} is no file; name a journal")
    if not os.access(journal, os.R_OK | os.W_OK):
        raise BadSession(f"{journal} may not be read and written by you; become its owner")
    with suppress(FileNotFoundError):  # sealed just now
        next(iter(JournalReader(journal)), None)


def _session_path(journal: Path) -> Path:
    return journal.with_suffix(".hdf5")


class _Parts(NamedTuple):
    """All of a journal's good frames but the samples themselves."""

    heading: Heading
    first: int  # index of the first sample that is there
    end: int  # after the last
    samples: int  # that are there
    keys: tuple[KeyPress, ...]
    prompts: tuple[Prompt, ...]
    segments: tuple[SegmentStart, ...]

    @property
    def begun(self) -> int:
        """Where this recording's samples begin: behind those of the session that it continues."""
        return self.heading.continues.samples if self.heading.continues else 0

    @property
    def origin(self) -> int:
        """The index of the session's first sample: not 0 where the first frames are damaged."""
        return 0 if self.heading.continues else self.first

    @property
    def missing(self) -> int:
        """Samples that were in damaged frames."""
        away = (s.missing for s in self.segments if s.first_index - s.missing == self.begun)
        return self.end - self.begun - self.samples - max(away, default=0)


def _seal(reader: JournalReader, path: Path) -> Recovered:
    parts = _parts(reader, path)
    before = _before(path, parts.heading.continues)
    if before is not None or not path.exists():
        write_session(path, _session(parts, reader, before))
    if not _holds(read_session(path), parts, reader, before):
        raise BadSession(f"{path} differs from {reader.path}, which is kept; move one of them elsewhere")
    return Recovered(path, parts.samples, parts.missing, reader.damage, _drop(reader))


def _before(path: Path, continued: Continued | None) -> Session | None:
    """The session that a recording continues; None where there is none or it holds the recording already."""
    if continued is None:
        return None
    if not path.exists():
        raise BadSession(f"the session {path}, which a recording continues, is gone; put it back")
    found = read_session(path)
    if len(found.time_s) < continued.samples or found.time_s[continued.samples - 1] != continued.last_s:
        raise BadSession(f"{path} is not the session that its journal continues; put that one back")
    return found if len(found.time_s) == continued.samples else None


def _drop(reader: JournalReader) -> Path | None:
    """Remove a journal, or put it aside where a part of it is damaged."""
    aside = None
    if reader.damage.bytes:
        names = chain([".damaged"], (f".damaged-{n}" for n in count(2)))
        paths = (reader.path.with_name(reader.path.name + name) for name in names)
        aside = reader.path.rename(next(path for path in paths if not path.exists()))
    else:
        reader.path.unlink()
    sync_folder(reader.path.parent)
    return aside


def _session(parts: _Parts, reader: JournalReader, before: Session | None) -> Session:
    samples = parts.end - parts.origin
    check_length(samples)
    time_s = np.empty(samples, np.float64)
    emg_uv = np.empty((samples, WRISTS, ELECTRODES), np.float32)
    valid = np.zeros((samples, WRISTS), np.bool_)
    if before is not None:
        time_s[: parts.begun], emg_uv[: parts.begun], valid[: parts.begun] = (
            before.time_s,
            before.emg_uv,
            before.valid,
        )
    done = parts.begun
    for part, chunk in _chunks(reader, parts.origin):
        time_s[part], emg_uv[part], valid[part] = chunk.time_s, chunk.emg_uv, chunk.valid
        if 0 < done < part.start:
            _hold(time_s, emg_uv, slice(done, part.start))
        done = part.stop
    old_keys, old_prompts, old_segments = _truth(before)
    return Session(
        **{name: getattr(parts.heading, name) for name in _SAID},
        time_s=time_s,
        emg_uv=emg_uv,
        valid=valid,
        keys=tuple(sorted(old_keys + parts.keys, key=lambda press: press.press_s)),
        prompts=tuple(sorted(old_prompts + parts.prompts, key=lambda prompt: prompt.start_s)),
        segments=tuple(sorted(old_segments + _segments(parts), key=lambda start: start.first_index)),
    )


def _hold(time_s: Float64, emg_uv: Float32, missing: slice) -> None:
    """Give samples that are not there a time between their neighbours', and the last value."""
    before, behind = missing.start - 1, missing.stop
    time_s[missing] = np.linspace(time_s[before], time_s[behind], behind - before + 1)[1:-1]
    emg_uv[missing] = emg_uv[before]


def _truth(
    session: Session | None,
) -> tuple[tuple[KeyPress, ...], tuple[Prompt, ...], tuple[SegmentStart, ...]]:
    return (session.keys, session.prompts, session.segments) if session else ((), (), ())


def _segments(parts: _Parts) -> tuple[SegmentStart, ...]:
    """In the session's numbering; without those whose samples were not written any more."""
    moved = (s._replace(first_index=s.first_index - parts.origin) for s in parts.segments)
    return tuple(s for s in moved if 0 <= s.first_index < parts.end - parts.origin)


def _holds(session: Session, parts: _Parts, reader: JournalReader, before: Session | None) -> bool:
    """Whether a session has all that its journal says and no more, to the bit."""
    begun = parts.begun
    valid = 0
    for part, chunk in _chunks(reader, parts.origin):
        valid += int(chunk.valid.sum())
        if not _same(session, chunk.time_s, chunk.emg_uv, chunk.valid, part):
            return False
    old_keys, old_prompts, old_segments = _truth(before)
    merged = parts.heading.continues is not None and before is None  # what was there before is not known
    return (
        all(getattr(session, name) == getattr(parts.heading, name) for name in _SAID)
        and len(session.time_s) == parts.end - parts.origin
        and int(session.valid[begun:].sum()) == valid
        and (before is None or _same(session, before.time_s, before.emg_uv, before.valid, slice(begun)))
        and _are(session.keys, old_keys + parts.keys, merged=merged)
        and _are(session.prompts, old_prompts + parts.prompts, merged=merged)
        and _are(session.segments, old_segments + _segments(parts), merged=merged)
    )


def _same(session: Session, time_s: Float64, emg_uv: Float32, valid: Bool, part: slice) -> bool:
    return (
        np.array_equal(session.time_s[part], time_s)
        and np.array_equal(session.emg_uv[part], emg_uv)
        and np.array_equal(session.valid[part], valid)
    )


def _are(found: Iterable[Hashable], expected: Iterable[Hashable], *, merged: bool) -> bool:
    """Whether the same are there, in any order; with others, where they are `merged`."""
    found_counts, expected_counts = Counter(found), Counter(expected)
    return expected_counts <= found_counts if merged else expected_counts == found_counts


def _chunks(reader: JournalReader, origin: int) -> Iterator[tuple[slice, SampleChunk]]:
    """Where each chunk lies in the session, and the chunk."""
    for frame in reader:
        if frame.kind == Kind.SAMPLES:
            chunk = frames.unpack_samples(frame.payload)
            start = chunk.first_index - origin
            yield slice(start, start + len(chunk.time_s)), chunk


def _parts(reader: JournalReader, path: Path) -> _Parts:
    """Raises NotEnoughData where there is no sample, BadSession where nothing says whose samples they are."""
    try:
        heading, ranges, keys, prompts, segments = _gathered(reader)
    except (ValidationError, struct.error) as error:
        raise BadSession(f"{reader.path} was written by another version of qwrist: {error}") from error
    if not ranges:
        aside = _drop(reader)
        kept = f"what is damaged is kept as {aside}" if aside else "check the link to the bands"
        raise NotEnoughData(f"nothing was recorded in {path.stem}: no sample arrived; {kept}")
    if heading is None:
        raise BadSession(f"{reader.path} is damaged where it says whose it is; it is kept, move it elsewhere")
    first, end = ranges[0].start, heading.continues.samples if heading.continues else 0
    for part in ranges:
        if part.start < end:
            raise BadSession(f"{reader.path} has the sample {part.start} twice; move it elsewhere")
        end = part.stop
    return _Parts(heading, first, end, sum(map(len, ranges)), tuple(keys), tuple(prompts), tuple(segments))


def _gathered(
    reader: JournalReader,
) -> tuple[Heading | None, list[range], list[KeyPress], list[Prompt], list[SegmentStart]]:
    heading: Heading | None = None
    ranges: list[range] = []
    keys: list[KeyPress] = []
    prompts: list[Prompt] = []
    segments: list[SegmentStart] = []
    for kind, payload in reader:
        match kind:
            case Kind.HEADING:
                heading = Heading.model_validate_json(payload)
            case Kind.SAMPLES:
                first, samples = frames.SAMPLES_HEADER.unpack_from(payload)
                ranges.append(range(first, first + samples))
            case Kind.KEY:
                keys.append(frames.unpack_key(payload))
            case Kind.PROMPT:
                prompts.append(frames.unpack_prompt(payload))
            case Kind.SEGMENT:
                segments.append(frames.unpack_segment(payload))
            case _:
                raise BadSession(f"{reader.path} holds a frame of the unknown kind {kind}")
    return heading, ranges, keys, prompts, segments
