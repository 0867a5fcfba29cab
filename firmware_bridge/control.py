"""The control point: what a host asks of a band, and what the band answers.

A request is written to CONTROL and answered by an indication of it: docs/formats/packet.md has the bytes.
"""

from __future__ import annotations

import enum
import struct
from typing import Final, NamedTuple, assert_never

from edge.samples import ELECTRODES
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import Codec

NO_REQUEST: Final = 0x80  # ATT application error for a write that is too short to be answered
_ANSWER: Final = 0x80  # set in an answer's opcode
_OPEN: Final = 0xFFFF  # an electrode that touches nothing
_KOHM_PER_LSB: Final = 0.1

_CONFIG: Final = struct.Struct("<BBH")
_STARTED: Final = struct.Struct("<BHI")
_CONFIGURED: Final = struct.Struct("<BH")
_PINGED: Final = struct.Struct("<BI")
_IMPEDANCES: Final = struct.Struct(f"<{ELECTRODES}H")


class Opcode(enum.IntEnum):
    """What a request is for."""

    START = 1
    STOP = 2
    CONFIG = 3
    PING = 4
    IMPEDANCE = 5
    IDENTIFY = 6


class Result(enum.IntEnum):
    """How a band answers."""

    OK = 0
    UNSUPPORTED = 1  # an operation, codec or rate that this band does not have
    NOT_NOW = 2  # a known operation that the band's state does not allow
    BAD_ARGUMENT = 3


class Start(NamedTuple):
    """Stream from now on; answered with Started."""


class Stop(NamedTuple):
    """Stop streaming."""


class Config(NamedTuple):
    """How to stream; refused while streaming. Answered with Configured."""

    preferred: Codec | None  # None: one that this version does not know
    accepted: frozenset[Codec]  # what the band may step to when the radio is behind
    rate_hz: int


class Ping(NamedTuple):
    """Which sample is it? Answered with Pinged."""


class MeasureImpedance(NamedTuple):
    """Measure the electrodes' contact; refused while streaming. Answered with Impedances."""


class Identify(NamedTuple):
    """Blink or buzz, so that the wearer sees which band it is."""

    duration_s: int  # up to 255


Operation = Start | Stop | Config | Ping | MeasureImpedance | Identify


class Request(NamedTuple):
    """An operation, and the number by which its answer is known."""

    number: int  # u8
    operation: Operation


class Started(NamedTuple):
    """The packet that comes next: numbering runs on from the band's boot."""

    boot: int
    sequence: int
    first_index: int


class Configured(NamedTuple):
    """What the band streams in, to begin with."""

    codec: Codec
    rate_hz: int


class Pinged(NamedTuple):
    """The sample that was being taken when the request was handled."""

    boot: int
    sample_index: int


class Impedances(NamedTuple):
    """Contact of each electrode, kiloohm; infinite where it touches nothing."""

    kohm: tuple[float, ...]  # (E,)


Answer = Started | Configured | Pinged | Impedances | None


class Response(NamedTuple):
    """What came back for the request of this number."""

    opcode: int
    number: int
    result: Result
    data: bytes


class RefusedRequest(BadPacket):
    """A request that is answered with a result other than OK."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result


def opcode_of(operation: Operation) -> Opcode:
    """The number of an operation's kind."""
    match operation:
        case Start():
            return Opcode.START
        case Stop():
            return Opcode.STOP
        case Config():
            return Opcode.CONFIG
        case Ping():
            return Opcode.PING
        case MeasureImpedance():
            return Opcode.IMPEDANCE
        case Identify():
            return Opcode.IDENTIFY
        case _:
            assert_never(operation)


def encode_request(request: Request) -> bytes:
    """What is written to CONTROL."""
    head = bytes([opcode_of(request.operation), request.number])
    match request.operation:
        case Config(preferred, accepted, rate_hz):
            known = max(accepted, key=lambda codec: codec.value) if preferred is None else preferred
            return head + _CONFIG.pack(known.value, sum(1 << codec.value for codec in accepted), rate_hz)
        case Identify(duration_s):
            return head + bytes([duration_s])
        case _:
            return head


def decode_request(data: bytes) -> Request:
    """The request in `data`.

    Raises RefusedRequest with the result to answer, BadPacket where there is nothing to answer.
    """
    if len(data) < 2:
        raise BadPacket(f"{data.hex(' ') or 'nothing'} is no control request; opcode and number are missing")
    opcode, number, arguments = data[0], data[1], data[2:]
    if opcode not in set(Opcode):
        raise RefusedRequest(Result.UNSUPPORTED, f"a band has no operation {opcode}")
    expected = {Opcode.CONFIG: _CONFIG.size, Opcode.IDENTIFY: 1}.get(Opcode(opcode), 0)
    if len(arguments) != expected:
        raise RefusedRequest(
            Result.BAD_ARGUMENT, f"{Opcode(opcode).name} takes {expected} bytes, not {len(arguments)}"
        )
    return Request(number, _operation(Opcode(opcode), arguments))


def _operation(opcode: Opcode, arguments: bytes) -> Operation:
    match opcode:
        case Opcode.START:
            return Start()
        case Opcode.STOP:
            return Stop()
        case Opcode.CONFIG:
            preferred, accepted, rate_hz = _CONFIG.unpack(arguments)
            known = {codec.value: codec for codec in Codec}
            codecs = frozenset(codec for value, codec in known.items() if accepted >> value & 1)
            return Config(known.get(preferred), codecs, rate_hz)
        case Opcode.PING:
            return Ping()
        case Opcode.IMPEDANCE:
            return MeasureImpedance()
        case Opcode.IDENTIFY:
            return Identify(arguments[0])
        case _:
            assert_never(opcode)


def encode_response(request: bytes, result: Result, answer: Answer = None) -> bytes:
    """The indication that answers `request`, of which at least two bytes are there."""
    head = bytes([request[0] | _ANSWER, request[1], result])
    match answer:
        case Started(boot, sequence, index):
            return head + _STARTED.pack(boot, sequence & 0xFFFF, index & 0xFFFFFFFF)
        case Configured(codec, rate_hz):
            return head + _CONFIGURED.pack(codec.value, rate_hz)
        case Pinged(boot, index):
            return head + _PINGED.pack(boot, index & 0xFFFFFFFF)
        case Impedances(kohm):
            return head + _IMPEDANCES.pack(*(min(_OPEN, round(min(z, 1e6) / _KOHM_PER_LSB)) for z in kohm))
        case None:
            return head
        case _:
            assert_never(answer)


def decode_response(data: bytes) -> Response:
    """An indication of CONTROL; a result that is newer than this host means UNSUPPORTED.

    Raises BadPacket for what is no answer.
    """
    if len(data) < 3 or not data[0] & _ANSWER:
        raise BadPacket(f"{data.hex(' ') or 'nothing'} is no answer of a control point")
    result = Result(data[2]) if data[2] in set(Result) else Result.UNSUPPORTED
    return Response(data[0] & ~_ANSWER, data[1], result, data[3:])


def decode_answer(operation: Operation, data: bytes) -> Answer:
    """What an OK response says. Raises BadPacket where that is no answer to `operation`."""
    try:
        match operation:
            case Start():
                return Started(*_STARTED.unpack(data))
            case Config():
                codec, rate_hz = _CONFIGURED.unpack(data)
                return Configured(Codec(codec), rate_hz)
            case Ping():
                return Pinged(*_PINGED.unpack(data))
            case MeasureImpedance():
                steps = _IMPEDANCES.unpack(data)
                return Impedances(
                    tuple(float("inf") if s == _OPEN else round(s * _KOHM_PER_LSB, 1) for s in steps)
                )
            case Stop() | Identify():
                return None
            case _:
                assert_never(operation)
    except (struct.error, ValueError) as error:
        name = opcode_of(operation).name
        raise BadPacket(f"{data.hex(' ') or 'nothing'} is no answer to {name}: {error}") from error
