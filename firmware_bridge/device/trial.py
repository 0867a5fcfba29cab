"""A session of DEVICE-TEST as a device keeps it: pieces in, calls to run, results out. No radio in here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from edge.runtimes import ModelInput, State
from edge.samples import Float32
from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.device.tensors import Calls, pack
from firmware_bridge.device.trial_messages import (
    CRC_BYTES,
    Answer,
    Begins,
    Fetch,
    Open,
    Opened,
    Operation,
    Output,
    Part,
    Piece,
    Reason,
    Refused,
    Standing,
    Taken,
    Where,
    sealed,
    unsealed,
)
from firmware_bridge.errors import BadPacket

WINDOW_BYTES: Final = 8192  # 16 pieces at MTU 517: two connection intervals of a good link are never idle
MAX_CHUNK_BYTES: Final = 8 << 20  # a whole window of 4 s of frames is 2.1 MB


class Job(NamedTuple):
    """A chunk that is complete: run it, then say `finished` or `failed`."""

    sha256: bytes  # the artifact's
    x: ModelInput
    state: State


@dataclass
class _Session:
    number: int
    sha256: bytes
    calls: Calls
    chunk: int = 0  # the one that comes, or runs
    begins: Begins | None = None  # of what has arrived
    content: bytearray = field(default_factory=bytearray)
    acknowledged: int = 0
    gap_told: bool = False
    running: bool = False
    state: State | None = None  # that the last chunk left behind
    result: bytes = b""  # of the last chunk

    def content_bytes(self, begins: Begins) -> int:
        """How long a chunk is that begins so."""
        given = self.calls.state_bytes if begins is Begins.GIVEN else 0
        return given + self.calls.input_bytes + CRC_BYTES

    def expect_again(self) -> None:
        """Nothing of the chunk to come has arrived."""
        self.begins, self.acknowledged, self.gap_told, self.running = None, 0, False, False
        self.content.clear()


class Trial:
    """One session at a time, which outlives a connection, but not a restart.

    What it keeps is bounded: one chunk, one result, one state, of an artifact that the device chose to hold.
    """

    def __init__(self, held: Mapping[bytes, Calls], boot: int) -> None:
        """`held`: by the SHA-256 of its file, what a call of each artifact is."""
        self.boot = boot
        self._held = held
        self._session: _Session | None = None

    def operate(self, operation: Operation) -> Answer:
        """Answer a request; after FETCH send `parts`. Raises RefusedRequest."""
        match operation:
            case Open(number, sha256):
                return self._open(number, sha256)
            case Where():
                return self._standing()
            case Fetch(number, chunk, offset):
                session = self._session
                if session is None or (session.number, session.chunk - 1) != (number, chunk):
                    raise RefusedRequest(Result.NOT_NOW, "that result is not here")
                if offset >= len(session.result):
                    raise RefusedRequest(Result.BAD_ARGUMENT, "the result ends before")
                return None

    def take(self, piece: Piece) -> Output | Job | None:
        """Take a piece: what to notify, the call that it completes, or nothing to say."""
        session = self._session
        if session is None or session.number != piece.session:
            return _refused(piece, Reason.NO_SESSION, "open one first")
        if session.running or piece.chunk == session.chunk - 1:
            return None  # it was sent twice
        if piece.chunk != session.chunk or session.begins not in (None, piece.begins):
            return _refused(piece, Reason.WRONG_CHUNK, f"chunk {session.chunk} comes")
        if piece.begins is Begins.CARRIED and session.state is None:
            return _refused(piece, Reason.NO_STATE, "no chunk was run before it")
        total, end = session.content_bytes(piece.begins), piece.offset + len(piece.data)
        if end > total:
            return _refused(piece, Reason.TOO_LONG, f"it ends at byte {end} of {total}")
        return self._append(session, piece, total)

    def finished(self, log_probs: Float32, state: State) -> Refused | None:
        """The job was run. What it said is kept until the next one was; `parts` gives it."""
        session = self._running()
        expected = (session.calls.rows, session.calls.classes)
        if log_probs.shape != expected:
            return self.failed(f"it gave {log_probs.shape} numbers, {expected} were expected")
        session.expect_again()
        session.state, session.result = state, sealed(pack([log_probs]))
        session.chunk += 1
        return None

    def failed(self, text: str) -> Refused:
        """The job could not be run; its chunk may be sent again."""
        session = self._running()
        session.expect_again()
        return Refused(session.number, session.chunk, Reason.FAILED, text)

    def parts(self, size: int, offset: int = 0) -> Iterator[Part]:
        """The last result from `offset` on, in parts of at most `size` bytes."""
        session = self._session
        if session is None:
            return
        result, chunk = session.result, session.chunk - 1
        for start in range(offset, len(result), size):
            yield Part(session.number, chunk, start, result[start : start + size])

    def _open(self, number: int, sha256: bytes) -> Opened:
        calls = self._held.get(sha256)
        if calls is None:
            raise RefusedRequest(Result.UNSUPPORTED, f"no artifact {sha256.hex()[:12]} is here")
        if calls.input_bytes + calls.state_bytes + CRC_BYTES > MAX_CHUNK_BYTES:
            raise RefusedRequest(Result.UNSUPPORTED, f"a call of it is more than {MAX_CHUNK_BYTES} bytes")
        if not number:
            raise RefusedRequest(Result.BAD_ARGUMENT, "0 is no session")
        if self._session is not None and self._session.running:
            raise RefusedRequest(Result.NOT_NOW, "a chunk is running")
        self._session = _Session(number, sha256, calls)
        return Opened(self.boot, calls.input_bytes, calls.state_bytes, calls.rows, calls.classes)

    def _standing(self) -> Standing:
        session = self._session
        if session is None:
            return Standing(self.boot, 0, 0, 0, running=False)
        return Standing(self.boot, session.number, session.chunk, len(session.content), session.running)

    def _append(self, session: _Session, piece: Piece, total: int) -> Output | Job | None:
        arrived = len(session.content)
        if piece.offset > arrived:
            if session.gap_told:
                return None
            session.gap_told = True
            return Taken(session.number, session.chunk, arrived, gap=True)
        if piece.offset < arrived:
            return None  # it was sent twice
        session.begins, session.gap_told = piece.begins, False
        session.content += piece.data
        arrived += len(piece.data)
        if arrived == total:
            return self._complete(session, piece)
        if arrived - session.acknowledged < WINDOW_BYTES // 2:
            return None
        session.acknowledged = arrived
        return Taken(session.number, session.chunk, arrived, gap=False)

    def _complete(self, session: _Session, piece: Piece) -> Refused | Job:
        try:
            payload = unsealed(bytes(session.content))
        except BadPacket:
            session.expect_again()
            return _refused(piece, Reason.DAMAGED, "its CRC-32 is wrong")
        calls, state = session.calls, session.state
        if piece.begins is Begins.GIVEN:
            state = calls.unpack_state(payload[: calls.state_bytes])
        elif piece.begins is Begins.INITIAL or state is None:
            state = calls.form.initial_state()
        session.running = True
        return Job(session.sha256, calls.unpack_input(payload[-calls.input_bytes :]), state)

    def _running(self) -> _Session:
        if self._session is None or not self._session.running:
            raise ValueError("no job was given out")
        return self._session


def _refused(piece: Piece, reason: Reason, text: str) -> Refused:
    return Refused(piece.session, piece.chunk, reason, text)
