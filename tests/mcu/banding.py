"""What drive.c is told and what it answers: a band's C, here under sanitizers or on an emulated board."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.samples import ELECTRODES, Float32
from firmware_bridge.packet import Codec, Counts

Int16 = npt.NDArray[np.int16]

_GOLDEN: Final = Path(__file__).parents[1] / "firmware_bridge/golden/packets.json"
_ROOM: Final = 255  # samples that a packet's header can count
_HEADER: Final = struct.Struct("<BBBBHI")
_MEASURED: Final = struct.Struct("<IIIII")
STATUS_BYTES: Final = 24


class Traits(NamedTuple):
    """qwb_traits."""

    side: int = 0
    boot: int = 1
    codecs: int = 0b111
    measures_impedance: bool = True
    identifies: bool = True


class Link(NamedTuple):
    """qwb_link."""

    phy: int = 2
    mtu: int = 517
    interval: int = 12


class Header(NamedTuple):
    """qwb_header, and the counts of a packet."""

    codec: int
    flags: int
    boot: int
    sequence: int
    first_index: int
    counts: Counts  # (T, E)


class Golden(NamedTuple):
    """tests/firmware_bridge/golden/packets.json: what every decoder takes, and what it refuses."""

    taken: tuple[tuple[bytes, Header], ...]
    refused: tuple[bytes, ...]


class Answer(NamedTuple):
    """qwb_answer."""

    task: int
    seconds: int
    data: bytes


class Measured(NamedTuple):
    """What a board counted; instructions are 0 on a computer."""

    samples: int
    instructions: int  # of all calls of qwb_push
    most: int  # of one
    stack_bytes: int
    band_bytes: int  # sizeof(qwb_band)


NOTHING, REFUSE_WRITE, MEASURE, IDENTIFY = range(4)  # qwb_task


def golden() -> Golden:
    """Read the golden packets."""
    content = json.loads(_GOLDEN.read_text())
    taken = [
        (
            bytes.fromhex(packet["hex"]),
            Header(
                Codec[packet["codec"].upper()].value,
                packet["flags"],
                packet["boot"],
                packet["sequence"],
                packet["first_index"],
                np.array(packet["counts"], np.int16).reshape(-1, ELECTRODES),
            ),
        )
        for packet in content["packets"]
    ]
    return Golden(tuple(taken), tuple(bytes.fromhex(packet["hex"]) for packet in content["refused"]))


def boot(traits: Traits) -> bytes:
    """qwb_reset."""
    return struct.pack("<sBBB??", b"B", *traits)


def count_from(index: int, sequence: int) -> bytes:
    """Let a band be as old as that."""
    return struct.pack("<sQH", b"N", index, sequence)


def connect(link: Link) -> bytes:
    """qwb_connected."""
    return struct.pack("<sBHH", b"G", *link)


def disconnect() -> bytes:
    """qwb_disconnected."""
    return b"D"


def push(counts: Int16) -> bytes:
    """qwb_push for each of (T, E) counts of 0.2 microvolts."""
    return struct.pack("<sH", b"P", len(counts)) + counts.astype("<i2").tobytes()


def skip(count: int) -> bytes:
    """qwb_skip."""
    return struct.pack("<sI", b"S", count)


def control(request: bytes, waiting: int = 0) -> bytes:
    """qwb_control."""
    return struct.pack("<sIH", b"C", waiting, len(request)) + request


def decode(data: bytes, room: int = _ROOM) -> bytes:
    """qwb_packet_decode."""
    return struct.pack("<sHH", b"R", room, len(data)) + data


def encode(header: Header, room: int = 8192) -> bytes:
    """qwb_packet_encode."""
    codec, flags, boot, sequence, first_index, counts = header
    fields = _HEADER.pack(codec, flags, boot, len(counts), sequence & 0xFFFF, first_index & 0xFFFFFFFF)
    return struct.pack("<sH", b"W", room) + fields + counts.astype("<i2").tobytes()


def twelve_bits(counts: Int16) -> Counts:
    """The 12-bit counts of 16-bit ones: the nearest, ties to even, limited."""
    nearest: Counts = np.minimum(np.rint(counts / 16), 2047).astype(np.int16)
    return nearest


def microvolts(counts: Int16, codec: Codec) -> Float32:
    """What the reference quantizes to the counts that a band sends of `counts` of 0.2 microvolts."""
    own = counts if codec is Codec.RAW16 else twelve_bits(counts)
    return own.astype(np.float32) * np.float32(codec.gain_uv_per_lsb)


class Driver:
    """drive.c running beside us. A sanitizer's complaint ends it, and with it the answers."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> int:
        """End it; 0 where it had nothing to complain of."""
        self._process.communicate()
        return self._process.returncode

    def tell(self, command: bytes) -> None:
        """A command without an answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command)
        self._process.stdin.flush()

    def push(self, counts: Int16) -> list[bytes]:
        """The packets that samples complete."""
        self.tell(push(counts))
        return list(iter(self._sized, b""))

    def skip(self, count: int) -> list[bytes]:
        """The packet that a gap completes, if any."""
        self.tell(skip(count))
        packet = self._sized()
        return [packet] if packet else []

    def control(self, request: bytes, waiting: int = 0) -> Answer:
        """The answer to a request."""
        self.tell(control(request, waiting))
        return self._answer()

    def impedances(self, steps: list[int]) -> Answer:
        """The answer that a measurement owes."""
        self.tell(struct.pack(f"<s{ELECTRODES}H", b"I", *steps))
        return self._answer()

    def overflow(self) -> None:
        """A packet could not be sent."""
        self.tell(b"O")

    def lead_off(self, bitmap: int) -> None:
        """Electrodes without contact."""
        self.tell(struct.pack("<sH", b"L", bitmap))

    def status(self) -> tuple[bool, bytes]:
        """Whether it has changed, and its bytes."""
        self.tell(b"T")
        changed, *value = self._read(1 + STATUS_BYTES)
        return bool(changed), bytes(value)

    def decode(self, data: bytes, room: int = _ROOM) -> Header | int:
        """The packet in `data`, or the verdict that it is none."""
        self.tell(decode(data, room))
        if verdict := self._read(1)[0]:
            return verdict
        codec, flags, boot, samples, sequence, first_index = _HEADER.unpack(self._read(_HEADER.size))
        counts = np.frombuffer(self._read(samples * 2 * ELECTRODES), "<i2").reshape(-1, ELECTRODES)
        return Header(codec, flags, boot, sequence, first_index, counts)

    def encode(self, header: Header, room: int = 8192) -> bytes:
        """The bytes of a packet, none where they do not fit."""
        self.tell(encode(header, room))
        return self._sized()

    def _answer(self) -> Answer:
        task, seconds = self._read(2)
        return Answer(task, seconds, self._sized())

    def _sized(self) -> bytes:
        return self._read(int.from_bytes(self._read(2), "little"))

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) != count:
            raise AssertionError(f"the band's C ended with {self._process.wait()}; see standard error")
        return data


def split_measured(output: bytes) -> tuple[bytes, Measured]:
    """What drive.c wrote to its end: the answers, and what it measured."""
    cut = len(output) - _MEASURED.size
    return output[:cut], Measured(*_MEASURED.unpack(output[cut:]))
