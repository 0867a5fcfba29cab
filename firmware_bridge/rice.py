"""RICE12: twelve-bit counts of 16 electrodes as Rice-coded differences, losslessly.

Each electrode's samples follow one another: its parameter k, its first count, then the differences from
count to count, small where the signal is. docs/formats/packet.md has the bits. The code is Rice's (Rice and
Plaunt, "Adaptive variable-length coding for efficient compression of spacecraft television data", 1971).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edge.samples import ELECTRODES
from firmware_bridge.errors import BadPacket

Counts = npt.NDArray[np.int16]
_Unsigned = npt.NDArray[np.int64]

COUNT_BITS: Final = 12
_PARAMETER_BITS: Final = 4
LARGEST_PARAMETER: Final = 11  # a difference has 12 bits: with 11 of them as they are, its quotient is 0 or 1
_ESCAPE: Final = 16  # ones: a quotient so large costs more than the difference itself
_ESCAPED_BITS: Final = _ESCAPE + COUNT_BITS
_HEAD_BITS: Final = ELECTRODES * (_PARAMETER_BITS + COUNT_BITS)
_TOO_SHORT: Final = "a packet's samples end before their number is reached"
_MASK: Final = (1 << COUNT_BITS) - 1


def encode(counts: Counts) -> bytes:
    """The payload of (T, E) counts of 12 bits; for each electrode the parameter that takes fewest bits."""
    zigzag = _zigzag(counts)
    parameters = _costs(zigzag).sum(axis=1).argmin(axis=0)  # (E,), the least of equal ones
    quotients = zigzag >> parameters
    escaped = quotients >= _ESCAPE
    tails = zigzag & ((1 << parameters) - 1)
    ones = np.where(escaped, (1 << _ESCAPE) - 1, (1 << np.minimum(quotients, _ESCAPE)) - 1)
    widths = np.where(escaped, _ESCAPED_BITS, quotients + 1 + parameters)
    words = np.where(escaped, ones << COUNT_BITS | zigzag, ones << (1 + parameters) | tails)
    value, size = 0, 0
    for electrode in range(ELECTRODES):
        first = int(counts[0, electrode]) & _MASK
        value = value << (_PARAMETER_BITS + COUNT_BITS) | int(parameters[electrode]) << COUNT_BITS | first
        size += _PARAMETER_BITS + COUNT_BITS
        for word, width in zip(words[:, electrode].tolist(), widths[:, electrode].tolist(), strict=True):
            value = value << width | word
            size += width
    padding = -size % 8
    return (value << padding).to_bytes((size + padding) // 8, "big")


def sizes(counts: Counts) -> npt.NDArray[np.int64]:
    """Bytes of the payload of the first 1, 2, ... T counts: (T,)."""
    bits = _costs(_zigzag(counts)).cumsum(axis=1)  # (K, T - 1, E): with each k, up to each difference
    totals = np.concatenate([[0], bits.min(axis=0).sum(axis=1)]) + _HEAD_BITS
    return -(-totals // 8)


def decode(payload: bytes, samples: int) -> Counts:
    """The (T, E) counts in `payload`. Raises BadPacket where it does not hold exactly `samples` of them."""
    bits = _Bits(payload)
    firsts = np.zeros(ELECTRODES, np.int64)
    zigzag = np.zeros((samples - 1, ELECTRODES), np.int64)
    for electrode in range(ELECTRODES):
        parameter = bits.take(_PARAMETER_BITS)
        if parameter > LARGEST_PARAMETER:
            raise BadPacket(
                f"a packet's electrode {electrode} is coded with parameter {parameter}; "
                f"{LARGEST_PARAMETER} is the largest"
            )
        firsts[electrode] = bits.take(COUNT_BITS)
        zigzag[:, electrode] = bits.differences(parameter, samples - 1)
    bits.finish()
    differences = np.where(zigzag & 1, ~(zigzag >> 1), zigzag >> 1)
    return _wrapped(np.concatenate([firsts[None], differences]).cumsum(axis=0)).astype(np.int16)


class _Bits:
    """Reads a payload, the most significant bit first."""

    def __init__(self, payload: bytes) -> None:
        self._size = 8 * len(payload)
        padded = np.frombuffer(payload + bytes(3), np.uint8).astype(np.uint32)
        # From each byte on, 24 bits: what is read at once, 17 at most, begins in the first of them.
        self._windows: list[int] = (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).tolist()
        self._at = 0

    def take(self, width: int) -> int:
        """The next `width` bits as a number."""
        at = self._at
        if at + width > self._size:
            raise BadPacket(_TOO_SHORT)
        self._at = at + width
        return self._windows[at >> 3] >> (24 - (at & 7) - width) & ((1 << width) - 1)

    def differences(self, parameter: int, count: int) -> list[int]:
        """The next `count` zigzag numbers of one electrode. One loop: it is most of a packet's time."""
        windows, at = self._windows, self._at
        numbers = []
        for _ in range(count):
            if at >= self._size:
                raise BadPacket(_TOO_SHORT)
            ones = 17 - ((windows[at >> 3] >> (7 - (at & 7)) & 0x1FFFF) ^ 0x1FFFF).bit_length()
            if ones < _ESCAPE:
                start, width, high = at + ones + 1, parameter, ones << parameter
            else:
                start, width, high = at + _ESCAPE, COUNT_BITS, 0
            at = start + width
            if at > self._size:
                raise BadPacket(_TOO_SHORT)
            numbers.append(high | windows[start >> 3] >> (24 - (start & 7) - width) & ((1 << width) - 1))
        self._at = at
        return numbers

    def finish(self) -> None:
        """Nothing may be left but zeros to the end of the byte."""
        rest = self._size - self._at
        if rest >= 8 or self.take(rest):
            raise BadPacket(f"{rest} bits are left after a packet's samples; less than 8, all zero, may be")


def _zigzag(counts: Counts) -> _Unsigned:
    """Differences modulo 4096, small ones of either sign as small numbers: (T - 1, E), 0 to 4095."""
    wide = counts.astype(np.int64)
    differences = _wrapped(wide[1:] - wide[:-1])
    return differences << 1 ^ differences >> (COUNT_BITS - 1)


def _costs(zigzag: _Unsigned) -> _Unsigned:
    """Bits of each number with each parameter: (K, T - 1, E)."""
    parameters = np.arange(LARGEST_PARAMETER + 1)[:, None, None]
    quotients = zigzag >> parameters
    return np.where(quotients < _ESCAPE, quotients + 1 + parameters, _ESCAPED_BITS)


def _wrapped(numbers: _Unsigned) -> _Unsigned:
    """Modulo 4096, into -2048 to 2047."""
    half = 1 << (COUNT_BITS - 1)
    return (numbers + half & _MASK) - half
