"""DECODE on the wire: what a device's own decoder says, as emissions or text. docs/formats/device.md."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, assert_never

import numpy as np

from edge.edits import Edit
from edge.samples import Float32
from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.errors import BadPacket

VERSION: Final = 1
SERVICE: Final = "7b1f0010-93a4-4c5e-8f0d-71a2c6e8d4b9"  # the family of gatt.BAND_SERVICE
MODEL: Final = "7b1f0011-93a4-4c5e-8f0d-71a2c6e8d4b9"  # read
CONTROL: Final = "7b1f0012-93a4-4c5e-8f0d-71a2c6e8d4b9"  # write, indicate
OUT: Final = "7b1f0013-93a4-4c5e-8f0d-71a2c6e8d4b9"  # notify

_MODEL: Final = struct.Struct("<BBBHHHHQ32s32sB")
_START: Final = struct.Struct("<BB")
_STARTED: Final = struct.Struct("<BHI")
_STOPPED: Final = struct.Struct("<HI")
_HEAD: Final = struct.Struct("<BH")
_VALUES: Final = struct.Struct("<IH")
_END: Final = struct.Struct("<I")
VALUES_OVERHEAD_BYTES: Final = _HEAD.size + _VALUES.size
TEXT_OVERHEAD_BYTES: Final = _HEAD.size + 1
MAX_ERASE: Final = 255  # u8


class Opcode(enum.IntEnum):
    """What a request to CONTROL is for."""

    START = 1
    STOP = 2


class Mode(enum.IntFlag):
    """What a device is to tell."""

    EMISSIONS = 1
    TEXT = 2
    BOTH = 3


class Precision(enum.IntEnum):
    """How log-probabilities travel."""

    FLOAT32 = 0
    FLOAT16 = 1  # half the radio, and 3 decimal digits


class Kind(enum.IntEnum):
    """What a notification of OUT holds."""

    FLOAT32 = 1
    FLOAT16 = 2
    TEXT = 3
    END = 4


class Model(NamedTuple):
    """What a device decodes with."""

    version: int
    boot: int
    stride: int  # frames an emission
    classes: int
    blank: int
    chunk_frames: int  # a call advances by
    lookahead_frames: int
    counter: int  # of the bundle
    model_sha256: bytes  # of the bundle's model.json
    charset_sha256: bytes
    user: str


class Start(NamedTuple):
    """Tell from now on; answered with Started."""

    mode: Mode
    precision: Precision = Precision.FLOAT32


class Stop(NamedTuple):
    """Tell nothing more; answered with Stopped."""


Operation = Start | Stop


class Started(NamedTuple):
    """What comes next: both count from the device's boot, also while nobody listens."""

    boot: int
    sequence: int
    emission: int


class Stopped(NamedTuple):
    """What would have come next."""

    sequence: int
    emission: int


class Values(NamedTuple):
    """Log-probabilities one behind the other, row after row, from a class of an emission on."""

    emission: int
    first_class: int
    log_probs: Float32  # (n,)


class End(NamedTuple):
    """The device's samples are over; so many emissions were made."""

    emissions: int


class Told(NamedTuple):
    """One notification of OUT."""

    sequence: int  # u16, one more for each, sent or not
    body: Values | Edit | End


def encode_model(model: Model) -> bytes:
    """The value of MODEL."""
    *numbers, user = model
    name = user.encode()
    return _MODEL.pack(*numbers, len(name)) + name


def decode_model(data: bytes) -> Model:
    """Read MODEL; bytes that later versions append are skipped. Raises BadPacket."""
    if len(data) < _MODEL.size or len(data) < _MODEL.size + data[_MODEL.size - 1]:
        raise _bad(data, "description of a decoder")
    values = _MODEL.unpack_from(data)
    user = data[_MODEL.size : _MODEL.size + values[-1]].decode(errors="replace")
    return Model._make((*values[:-1], user))


def encode_request(number: int, operation: Operation) -> bytes:
    """The bytes to write to CONTROL."""
    match operation:
        case Start():
            return bytes([Opcode.START, number]) + _START.pack(*operation)
        case Stop():
            return bytes([Opcode.STOP, number])
        case _:
            assert_never(operation)


def decode_request(data: bytes) -> Operation:
    """Read a write to CONTROL. Raises BadPacket for no request, RefusedRequest for one that is refused."""
    if len(data) < 2:
        raise _bad(data, "request to a control point")
    if data[0] not in set(Opcode):
        raise RefusedRequest(Result.UNSUPPORTED, f"{data[0]} is no operation of DECODE")
    wanted = _START.size if data[0] == Opcode.START else 0
    if len(data) != 2 + wanted:
        raise RefusedRequest(Result.BAD_ARGUMENT, f"{wanted} bytes of arguments, not {len(data) - 2}")
    if data[0] == Opcode.STOP:
        return Stop()
    mode, precision = data[2:]
    if not 0 < mode <= Mode.BOTH or precision not in set(Precision):
        raise RefusedRequest(Result.BAD_ARGUMENT, f"mode {mode} and precision {precision} are not offered")
    return Start(Mode(mode), Precision(precision))


def encode_answer(answer: Started | Stopped) -> bytes:
    """The data of an OK response."""
    match answer:
        case Started(boot, sequence, emission):
            return _STARTED.pack(boot, sequence & 0xFFFF, emission)
        case Stopped(sequence, emission):
            return _STOPPED.pack(sequence & 0xFFFF, emission)


def decode_answer(operation: Operation, data: bytes) -> Started | Stopped:
    """What an OK response says. Raises BadPacket where that is no answer to `operation`."""
    try:
        return (
            Started(*_STARTED.unpack(data))
            if isinstance(operation, Start)
            else Stopped(*_STOPPED.unpack(data))
        )
    except struct.error as error:
        raise _bad(data, "answer of a decoder") from error


def pieces(
    emission: int, log_probs: Float32, precision: Precision, size: int
) -> Iterator[tuple[Kind, bytes]]:
    """Emissions (n, K) from `emission` on, as the kinds and contents of notifications of `size` bytes.

    A notification ends where it is full, be it in the middle of a row.
    """
    kind, dtype = (Kind.FLOAT16, "<f2") if precision is Precision.FLOAT16 else (Kind.FLOAT32, "<f4")
    classes = log_probs.shape[1]
    with np.errstate(over="ignore"):  # what float16 does not hold is -inf, which is what it means
        flat = log_probs.reshape(-1).astype(dtype)
    step = max(1, (size - VALUES_OVERHEAD_BYTES) // flat.itemsize)
    for start in range(0, len(flat), step):
        row, first_class = divmod(start, classes)
        head = _VALUES.pack(emission + row, first_class)
        yield kind, head + flat[start : start + step].tobytes()


def edit_pieces(edit: Edit, size: int) -> Iterator[tuple[Kind, bytes]]:
    """An edit as notifications of at most `size` bytes, each an edit itself and whole characters."""
    erase, text = edit.erase, edit.insert
    while erase > MAX_ERASE:
        yield Kind.TEXT, bytes([MAX_ERASE])
        erase -= MAX_ERASE
    part = b""
    for character in text:
        more = character.encode()
        if len(part) + len(more) > size - TEXT_OVERHEAD_BYTES:
            yield Kind.TEXT, bytes([erase]) + part
            erase, part = 0, b""
        part += more
    if erase or part:
        yield Kind.TEXT, bytes([erase]) + part


def end_piece(emissions: int) -> tuple[Kind, bytes]:
    """The last notification."""
    return Kind.END, _END.pack(emissions)


def encode_told(sequence: int, kind: Kind, content: bytes) -> bytes:
    """A notification of OUT."""
    return _HEAD.pack(kind, sequence & 0xFFFF) + content


def decode_told(data: bytes) -> Told:
    """Read a notification of OUT. Raises BadPacket."""
    if len(data) <= _HEAD.size or data[0] not in set(Kind):
        raise _bad(data, "output of a decoder")
    kind, sequence = _HEAD.unpack_from(data)
    return Told(sequence, _body(Kind(kind), data[_HEAD.size :], data))


def _body(kind: Kind, content: bytes, data: bytes) -> Values | Edit | End:
    match kind:
        case Kind.FLOAT32 | Kind.FLOAT16:
            dtype = np.dtype("<f4" if kind is Kind.FLOAT32 else "<f2")
            values = content[_VALUES.size :]
            if not values or len(values) % dtype.itemsize:
                raise _bad(data, "row of log-probabilities")
            emission, first_class = _VALUES.unpack_from(content)
            return Values(emission, first_class, np.frombuffer(values, dtype).astype(np.float32))
        case Kind.TEXT:
            try:
                return Edit(content[0], content[1:].decode())
            except UnicodeDecodeError as error:
                raise _bad(data, "UTF-8") from error
        case Kind.END:
            if len(content) != _END.size:
                raise _bad(data, "end of a decoder's output")
            return End(*_END.unpack(content))
        case _:
            assert_never(kind)


def _bad(data: bytes, what: str) -> BadPacket:
    shown = data[:16].hex(" ") or "nothing"
    return BadPacket(f"{shown} is no {what}; update the device's firmware, or qwrist")
