"""DEVICE-TEST on the wire: golden vectors in, emissions out. docs/formats/device.md has the bytes."""

from __future__ import annotations

import enum
import struct
import zlib
from typing import Final, NamedTuple, assert_never

from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.errors import BadPacket

VERSION: Final = 1
SERVICE: Final = "7b1f0020-93a4-4c5e-8f0d-71a2c6e8d4b9"  # the family of gatt.BAND_SERVICE
INFO: Final = "7b1f0021-93a4-4c5e-8f0d-71a2c6e8d4b9"  # read
CONTROL: Final = "7b1f0022-93a4-4c5e-8f0d-71a2c6e8d4b9"  # write, indicate
INPUT: Final = "7b1f0023-93a4-4c5e-8f0d-71a2c6e8d4b9"  # write without response
OUTPUT: Final = "7b1f0024-93a4-4c5e-8f0d-71a2c6e8d4b9"  # notify

SHA256_BYTES: Final = 32
CRC_BYTES: Final = 4
LEAST_WINDOW_BYTES: Final = 1024  # two pieces: one under way while the other is acknowledged
MAX_NAME_BYTES: Final = 64  # a line for people
MAX_REASON_BYTES: Final = 160  # what a refusal says; the rest of the sentence is cut off

_INFO: Final = struct.Struct("<BBIIB")
_OPEN: Final = struct.Struct(f"<H{SHA256_BYTES}s")
_FETCH: Final = struct.Struct("<HII")
_OPENED: Final = struct.Struct("<BIIHH")
_STANDING: Final = struct.Struct("<BHIIB")
_PIECE: Final = struct.Struct("<HIBI")
_TAKEN: Final = struct.Struct("<BHII?")
_RESULT: Final = struct.Struct("<BHII")
_REFUSED: Final = struct.Struct("<BHIB")

PIECE_OVERHEAD_BYTES: Final = _PIECE.size
RESULT_OVERHEAD_BYTES: Final = _RESULT.size


class Opcode(enum.IntEnum):
    """What a request to CONTROL is for."""

    OPEN = 1
    WHERE = 2
    FETCH = 3


class Begins(enum.IntEnum):
    """From which state a chunk is run."""

    CARRIED = 0  # the one that the chunk before left behind
    INITIAL = 1  # that before the first chunk of all: a reset
    GIVEN = 2  # one that lies in the chunk itself, before its inputs


class Reason(enum.IntEnum):
    """Why a piece, or the chunk that it completed, is refused."""

    NO_SESSION = 1  # no session of this number is open: another host's, or one from before a restart
    WRONG_CHUNK = 2  # neither the chunk that comes, nor the one before
    NO_STATE = 3  # it carries on from a state that is not there
    TOO_LONG = 4  # it ends beyond the chunk
    DAMAGED = 5  # the chunk's CRC-32 is wrong: it is taken again from its start
    FAILED = 6  # the runtime refused it, or fell over


class Info(NamedTuple):
    """What a device says of itself."""

    version: int
    boot: int  # u8, another after each restart
    window_bytes: int  # how much of a chunk may be under way beyond what was acknowledged
    max_chunk_bytes: int
    name: str  # of its runtime, for people


class Open(NamedTuple):
    """Begin a session with an artifact; whatever was open is forgotten. Answered with Opened."""

    session: int  # u16, not 0
    sha256: bytes


class Where(NamedTuple):
    """Where do we stand? Answered with Standing."""


class Fetch(NamedTuple):
    """Send the last chunk's result once more, from an offset on."""

    session: int
    chunk: int
    offset: int


Operation = Open | Where | Fetch


class Opened(NamedTuple):
    """The session is open, and what a chunk of this artifact is."""

    boot: int
    input_bytes: int  # of one call, without state and CRC
    state_bytes: int
    rows: int  # emissions a call
    classes: int


class Standing(NamedTuple):
    """How far a session has come."""

    boot: int
    session: int  # 0: none is open
    chunk: int  # the one that comes, or that is running
    offset: int  # bytes of it that have arrived
    running: bool


Answer = Opened | Standing | None


class Request(NamedTuple):
    """An operation, and the number by which its answer is known."""

    number: int  # u8
    operation: Operation


class Piece(NamedTuple):
    """A part of a chunk, on its way in."""

    session: int
    chunk: int  # 0 for the first of a session
    begins: Begins
    offset: int
    data: bytes


class Taken(NamedTuple):
    """All bytes of a chunk before `offset` have arrived; `gap`: what came next lies beyond."""

    session: int
    chunk: int
    offset: int
    gap: bool


class Part(NamedTuple):
    """A part of a chunk's result, on its way out."""

    session: int
    chunk: int
    offset: int
    data: bytes


class Refused(NamedTuple):
    """A piece was not taken, or its chunk not run."""

    session: int
    chunk: int
    reason: Reason
    text: str


Output = Taken | Part | Refused

_KINDS: Final = {Taken: 1, Part: 2, Refused: 3}  # the first byte of a notification


def sealed(payload: bytes) -> bytes:
    """`payload` with its CRC-32 (zlib's) behind it: what is cut into pieces."""
    return payload + zlib.crc32(payload).to_bytes(CRC_BYTES, "little")


def unsealed(content: bytes) -> bytes:
    """What was sealed. Raises BadPacket where the CRC-32 is another."""
    payload, crc = content[:-CRC_BYTES], content[-CRC_BYTES:]
    if len(content) < CRC_BYTES or zlib.crc32(payload) != int.from_bytes(crc, "little"):
        raise BadPacket(f"{len(content)} bytes arrived damaged: their CRC-32 is wrong; send them again")
    return payload


def encode_info(info: Info) -> bytes:
    """The value of INFO."""
    name = _cut(info.name, MAX_NAME_BYTES)
    return _INFO.pack(info.version, info.boot, info.window_bytes, info.max_chunk_bytes, len(name)) + name


def decode_info(data: bytes) -> Info:
    """Read INFO; bytes that later versions append are skipped. Raises BadPacket."""
    if len(data) < _INFO.size or len(data) < _INFO.size + data[_INFO.size - 1]:
        raise _bad(data, "information about a device")
    version, boot, window_bytes, max_chunk_bytes, length = _INFO.unpack_from(data)
    name = data[_INFO.size : _INFO.size + length].decode(errors="replace")
    return Info(version, boot, window_bytes, max_chunk_bytes, name)


def opcode_of(operation: Operation) -> Opcode:
    """The number of an operation's kind."""
    match operation:
        case Open():
            return Opcode.OPEN
        case Where():
            return Opcode.WHERE
        case Fetch():
            return Opcode.FETCH
        case _:
            assert_never(operation)


def encode_request(request: Request) -> bytes:
    """The bytes to write to CONTROL."""
    head = bytes([opcode_of(request.operation), request.number])
    match request.operation:
        case Open(session, sha256):
            return head + _OPEN.pack(session, sha256)
        case Where():
            return head
        case Fetch(session, chunk, offset):
            return head + _FETCH.pack(session, chunk, offset)
        case _:
            assert_never(request.operation)


def decode_request(data: bytes) -> Request:
    """Read a write to CONTROL. Raises BadPacket for no request, RefusedRequest for one that is refused."""
    if len(data) < 2:
        raise _bad(data, "request to a control point")
    opcode, number, arguments = data[0], data[1], data[2:]
    sizes = {Opcode.OPEN: _OPEN.size, Opcode.WHERE: 0, Opcode.FETCH: _FETCH.size}
    if opcode not in set(Opcode):
        raise RefusedRequest(Result.UNSUPPORTED, f"{opcode} is no operation of DEVICE-TEST")
    wanted = sizes[Opcode(opcode)]
    if len(arguments) != wanted:
        raise RefusedRequest(
            Result.BAD_ARGUMENT, f"{Opcode(opcode).name} takes {wanted} bytes, not {len(arguments)}"
        )
    match Opcode(opcode):
        case Opcode.OPEN:
            return Request(number, Open(*_OPEN.unpack(arguments)))
        case Opcode.WHERE:
            return Request(number, Where())
        case Opcode.FETCH:
            return Request(number, Fetch(*_FETCH.unpack(arguments)))


def encode_answer(answer: Answer) -> bytes:
    """The data of an OK response."""
    match answer:
        case Opened():
            return _OPENED.pack(*answer)
        case Standing():
            return _STANDING.pack(*answer)
        case None:
            return b""
        case _:
            assert_never(answer)


def decode_answer(operation: Operation, data: bytes) -> Answer:
    """What an OK response says. Raises BadPacket where that is no answer to `operation`."""
    try:
        match operation:
            case Open():
                return Opened(*_OPENED.unpack(data))
            case Where():
                boot, session, chunk, offset, running = _STANDING.unpack(data)
                return Standing(boot, session, chunk, offset, bool(running))
            case Fetch():
                return None
            case _:
                assert_never(operation)
    except struct.error as error:
        raise _bad(data, f"answer to {opcode_of(operation).name}") from error


def encode_piece(piece: Piece) -> bytes:
    """The bytes to write to INPUT."""
    return _PIECE.pack(piece.session, piece.chunk, piece.begins, piece.offset) + piece.data


def decode_piece(data: bytes) -> Piece:
    """Read a write to INPUT. Raises BadPacket."""
    if len(data) <= _PIECE.size or data[6] not in set(Begins):
        raise _bad(data, "piece of a chunk")
    session, chunk, begins, offset = _PIECE.unpack_from(data)
    return Piece(session, chunk, Begins(begins), offset, data[_PIECE.size :])


def encode_output(output: Output) -> bytes:
    """A notification of OUTPUT."""
    kind = _KINDS[type(output)]
    match output:
        case Taken():
            return _TAKEN.pack(kind, *output)
        case Part(session, chunk, offset, data):
            return _RESULT.pack(kind, session, chunk, offset) + data
        case Refused(session, chunk, reason, text):
            return _REFUSED.pack(kind, session, chunk, reason) + _cut(text, MAX_REASON_BYTES)
        case _:
            assert_never(output)


def decode_output(data: bytes) -> Output:
    """Read a notification of OUTPUT. Raises BadPacket."""
    kind = data[0] if data else 0
    if kind == _KINDS[Taken] and len(data) == _TAKEN.size:
        _, session, chunk, offset, gap = _TAKEN.unpack(data)
        return Taken(session, chunk, offset, gap)
    if kind == _KINDS[Part] and len(data) > _RESULT.size:
        _, session, chunk, offset = _RESULT.unpack_from(data)
        return Part(session, chunk, offset, data[_RESULT.size :])
    if kind == _KINDS[Refused] and len(data) >= _REFUSED.size and data[7] in set(Reason):
        _, session, chunk, reason = _REFUSED.unpack_from(data)
        return Refused(session, chunk, Reason(reason), data[_REFUSED.size :].decode(errors="replace"))
    raise _bad(data, "output of a device under test")


def _cut(text: str, limit: int) -> bytes:
    """As many whole characters as fit."""
    return text.encode()[:limit].decode(errors="ignore").encode()


def _bad(data: bytes, what: str) -> BadPacket:
    shown = data[:16].hex(" ") or "nothing"
    return BadPacket(f"{shown} is no {what}; update the device's firmware, or qwrist")
