"""A recording in progress: journal first, sealed into a session file afterwards.

HDF5 is not written live: a writer that is killed between two flushes can lose the whole file. The journal is
dropped only once the session file has been read back and found equal to it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import BadSession, NotEnoughData
from edge.files import locked, sync_folder
from edge.journal import JournalReader, JournalWriter
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, KeyPress, Prompt, SampleChunk, Side
from edge.session import LONGEST_S, Session, read_session, write_session

SYNC_SAMPLES: Final = RATE_HZ  # a power cut costs at most the last second
_CHUNK: Final = struct.Struct("<qI")  # first index, samples
_SAMPLE_BYTES: Final = 8 + 4 * WRISTS * ELECTRODES + WRISTS


class _Kind(IntEnum):
    HEADING = 1
    SAMPLES = 2
    KEY = 3
    PROMPT = 4


class Heading(BaseModel):
    """What a recording is before it holds a sample; the first frame of its journal, as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: str
    user: str
    condition: str
    sides: tuple[Side, ...]
    filtered: bool
    simulated: bool


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    press_s: float
    release_s: float


class _Prompt(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    start_s: float
    end_s: float


def journal_path(session_path: Path) -> Path:
    """Where the recording of `session_path` is kept until it is sealed."""
    return session_path.with_name(session_path.name.removesuffix(".hdf5") + ".journal")


class Recorder:
    """Takes samples, keys and prompts as they come, and seals them at `path`.

    Keys and prompts may arrive in any order and later than their samples. Used as a context manager it
    closes the journal and leaves it, to be sealed by `recover`. Raises BadSession where a recording of that
    name exists.
    """

    def __init__(self, path: Path, heading: Heading) -> None:
        self.path = path
        self.heading = heading
        self.samples = 0
        self._next_index: int | None = None
        self._synced_samples = 0
        self._journal = _claimed(path)
        self._journal.append(_Kind.HEADING, heading.model_dump_json().encode())

    def add(self, chunk: SampleChunk) -> None:
        """Take the next samples. Raises BadSession unless they follow the last ones without a gap.

        Also where the recording would become longer than a session may be: it is sealed then.
        """
        if self._next_index is not None and chunk.first_index != self._next_index:
            raise BadSession(
                f"sample {chunk.first_index} follows sample {self._next_index - 1}; "
                "a source must declare missing samples, not leave them out"
            )
        if self.samples + len(chunk.time_s) > LONGEST_S * RATE_HZ:
            raise BadSession(
                f"{self.seal()} lasts {LONGEST_S / 3600:g} h, the most that a session may; "
                "it is kept, go on in another"
            )
        self._next_index = chunk.first_index + len(chunk.time_s)
        self._journal.append(_Kind.SAMPLES, _pack(chunk))
        self.samples += len(chunk.time_s)
        if self.samples - self._synced_samples >= SYNC_SAMPLES:
            self._journal.sync()
            self._synced_samples = self.samples

    def add_key(self, press: KeyPress) -> None:
        """Take a key press."""
        self._journal.append(_Kind.KEY, _Key(**press._asdict()).model_dump_json().encode())

    def add_prompt(self, prompt: Prompt) -> None:
        """Take a prompt that was performed from start to end."""
        self._journal.append(_Kind.PROMPT, _Prompt(**prompt._asdict()).model_dump_json().encode())

    def seal(self) -> Path:
        """End the recording and give the session's path. Raises NotEnoughData if there was no sample."""
        self.close()
        return recover(journal_path(self.path))

    def close(self) -> None:
        """Stop writing; the journal stays."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def recover(journal: Path) -> Path:
    """Seal a journal into the session file beside it, drop the journal, and give the session's path.

    Safe to repeat after a crash at any point; needs memory for one session. A journal that ends in a frame
    cut short or damaged is kept as `.journal.damaged`. Raises NotEnoughData if it holds no sample, BadSession
    if it is still being written, another session stands in its place or the file does not read back equal.
    """
    path = journal.with_suffix(".hdf5")
    try:
        with locked(journal):
            return _seal(JournalReader(journal), path)
    except BlockingIOError:
        raise BadSession(
            f"{journal} is being recorded by another process; wait for its end, or end it"
        ) from None
    except FileNotFoundError:
        if path.exists():  # another process was sealing it, too
            return path
        raise BadSession(f"there is no {journal}, and no session that was made of it") from None


def _claimed(path: Path) -> JournalWriter:
    """The journal of a new recording at `path`, which is then nobody else's."""
    journal = journal_path(path)
    try:
        writer = JournalWriter(journal)
    except FileExistsError:
        raise BadSession(
            f"{journal} exists: its recording is under way in another process, or was interrupted and has to "
            "be sealed; wait for it, or let the next recording seal it"
        ) from None
    except OSError as error:
        raise BadSession(f"{journal} cannot be written ({error.strerror}); see to its folder") from error
    if path.exists():  # looked at once the name is ours: another process may just have sealed it
        writer.close()
        journal.unlink()
        raise BadSession(f"{path} exists already; choose another name")
    return writer


def _seal(reader: JournalReader, path: Path) -> Path:
    parts = _parts(reader)
    if parts.heading is None or parts.samples == 0:
        _drop(reader)
        raise NotEnoughData(
            f"nothing was recorded in {path.stem}: no sample arrived; check the link to the bands"
        )
    if not path.exists():
        write_session(path, _session(parts, parts.heading, reader))
    if not _holds(read_session(path), parts, parts.heading, reader):
        raise BadSession(f"{path} differs from {reader.path}, which is kept; move one of them elsewhere")
    _drop(reader)
    return path


def _drop(reader: JournalReader) -> None:
    if reader.tail_bytes:
        reader.path.rename(reader.path.with_name(reader.path.name + ".damaged"))
    else:
        reader.path.unlink()
    sync_folder(reader.path.parent)


def _session(parts: _Parts, heading: Heading, reader: JournalReader) -> Session:
    time_s = np.empty(parts.samples, np.float64)
    emg_uv = np.empty((parts.samples, WRISTS, ELECTRODES), np.float32)
    valid = np.empty((parts.samples, WRISTS), np.bool_)
    for part, chunk in _chunks(reader):
        time_s[part], emg_uv[part], valid[part] = chunk.time_s, chunk.emg_uv, chunk.valid
    return Session(
        **heading.model_dump(exclude={"schema_version"}),
        time_s=time_s,
        emg_uv=emg_uv,
        valid=valid,
        keys=parts.keys,
        prompts=parts.prompts,
    )


def _holds(session: Session, parts: _Parts, heading: Heading, reader: JournalReader) -> bool:
    """Whether a session is what its journal says, to the bit; without a second one in memory."""
    said = heading.model_dump(exclude={"schema_version"}) | {"keys": parts.keys, "prompts": parts.prompts}
    return (
        all(getattr(session, name) == value for name, value in said.items())
        and len(session.time_s) == parts.samples
        and all(
            np.array_equal(session.time_s[part], chunk.time_s)
            and np.array_equal(session.emg_uv[part], chunk.emg_uv)
            and np.array_equal(session.valid[part], chunk.valid)
            for part, chunk in _chunks(reader)
        )
    )


def _chunks(frames: JournalReader) -> Iterator[tuple[slice, SampleChunk]]:
    """Where each chunk lies in the recording, and the chunk."""
    start = 0
    for frame in frames:
        if frame.kind == _Kind.SAMPLES:
            chunk = _unpack(frame.payload)
            part = slice(start, start + len(chunk.time_s))
            yield part, chunk
            start = part.stop


class _Parts(NamedTuple):
    heading: Heading | None
    samples: int
    keys: tuple[KeyPress, ...]  # in order
    prompts: tuple[Prompt, ...]  # in order


def _parts(reader: JournalReader) -> _Parts:
    """All of a journal's good frames but the samples themselves."""
    try:
        return _gathered(reader)
    except (ValidationError, struct.error) as error:
        raise BadSession(f"{reader.path} was written by another version of qwrist: {error}") from error


def _gathered(frames: JournalReader) -> _Parts:
    heading, samples = None, 0
    keys: list[KeyPress] = []
    prompts: list[Prompt] = []
    for kind, payload in frames:
        match kind:
            case _Kind.HEADING:
                heading = Heading.model_validate_json(payload)
            case _Kind.SAMPLES:
                samples += _CHUNK.unpack_from(payload)[1]
            case _Kind.KEY:
                keys.append(KeyPress(**_Key.model_validate_json(payload).model_dump()))
            case _Kind.PROMPT:
                prompts.append(Prompt(**_Prompt.model_validate_json(payload).model_dump()))
            case _:
                raise BadSession(f"{frames.path} holds a frame of the unknown kind {kind}")
    keys.sort(key=lambda press: press.press_s)
    prompts.sort(key=lambda prompt: prompt.start_s)
    return _Parts(heading, samples, tuple(keys), tuple(prompts))


def _pack(chunk: SampleChunk) -> bytes:
    return b"".join(
        [
            _CHUNK.pack(chunk.first_index, len(chunk.time_s)),
            chunk.time_s.astype("<f8").tobytes(),
            chunk.emg_uv.astype("<f4").tobytes(),
            chunk.valid.astype(np.uint8).tobytes(),
        ]
    )


def _unpack(payload: bytes) -> SampleChunk:
    first, samples = _CHUNK.unpack_from(payload)
    if len(payload) != _CHUNK.size + samples * _SAMPLE_BYTES:
        raise BadSession(f"a frame of {samples} samples has {len(payload)} bytes")
    emg_at = _CHUNK.size + 8 * samples
    valid_at = emg_at + 4 * WRISTS * ELECTRODES * samples
    return SampleChunk(
        first,
        np.frombuffer(payload, "<f8", samples, _CHUNK.size).astype(np.float64, copy=False),
        np.frombuffer(payload, "<f4", samples * WRISTS * ELECTRODES, emg_at)
        .reshape(samples, WRISTS, ELECTRODES)
        .astype(np.float32, copy=False),
        np.frombuffer(payload, np.uint8, samples * WRISTS, valid_at)
        .reshape(samples, WRISTS)
        .astype(np.bool_),
    )
