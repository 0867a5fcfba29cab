"""One band's packets in, its samples out; what is missing is declared, over lost packets and lost links."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.errors import SourceLost
from edge.samples import ELECTRODES, RATE_HZ, Float32
from firmware_bridge.control import Started
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import Flags, Packet, dequantize

MAX_GAP_SAMPLES: Final = 20_000  # 10 s: a link that is silent for 0.5 s is lost, so this is no radio's loss


class StreamState(NamedTuple):
    """Where a band's stream stands, and what has been counted since its first START.

    Within a boot of the band: `received` + `missing` == samples taken, exactly, once the end has arrived.
    """

    boot: int | None = None  # of the last START, else of the first packet
    next_sequence: int = 0  # of the next packet, not wrapped
    next_index: int = 0  # of the next sample, not wrapped
    ended: bool = False
    packets: int = 0
    lost: int = 0  # packets, as far as the band's numbering tells
    duplicates: int = 0  # packets
    received: int = 0  # samples
    missing: int = 0  # samples


class Segment(NamedTuple):
    """Samples that follow on those before, after some that are missing."""

    missing: int
    emg_uv: Float32  # (T, E)

    @property
    def samples(self) -> int:
        """Missing ones included."""
        return self.missing + len(self.emg_uv)


NO_SAMPLES: Final[Float32] = np.zeros((0, ELECTRODES), np.float32)
NO_SAMPLES.setflags(write=False)
NOTHING: Final = Segment(0, NO_SAMPLES)


def begin(started: Started) -> StreamState:
    """Before the first packet: what is lost of the very first is missing, too."""
    return StreamState(started.boot, started.sequence, started.first_index)


def step(state: StreamState, packet: Packet) -> tuple[StreamState, Segment]:
    """Take the next packet; a duplicate gives an empty segment.

    Raises BadPacket where the packet runs back, SourceLost where the band has restarted or leapt 10 s ahead.
    """
    if state.boot not in (None, packet.boot):
        raise SourceLost("the band restarted, which its battery or a reset can do; connect to it again")
    ahead = _difference(packet.sequence, state.next_sequence, bits=16)
    if ahead < 0 or state.ended:
        return state._replace(duplicates=state.duplicates + 1), NOTHING
    gap = _difference(packet.first_index, state.next_index, bits=32)
    if gap < 0:
        raise BadPacket(
            f"packet {packet.sequence} starts at {packet.first_index}, {state.next_index} was next"
        )
    if gap > MAX_GAP_SAMPLES:  # refusing it would refuse all that follow
        raise SourceLost(
            f"{gap / RATE_HZ:.0f} s of the band's samples are missing, and {MAX_GAP_SAMPLES / RATE_HZ:.0f} s "
            "are the most that is bridged; keep this machine awake and the band near, and connect to it again"
        )
    after = state._replace(
        boot=packet.boot,
        next_sequence=state.next_sequence + ahead + 1,
        next_index=state.next_index + gap + len(packet.counts),
        ended=bool(packet.flags & Flags.END),
        packets=state.packets + 1,
        lost=state.lost + ahead,
        received=state.received + len(packet.counts),
        missing=state.missing + gap,
    )
    return after, Segment(gap, dequantize(packet.counts, packet.codec))


def resume(state: StreamState, started: Started) -> tuple[StreamState, int] | None:
    """Go on after a break where `started` says, and give how many samples it cost.

    None where the band does not go on with its numbering: it has restarted, and only a clock knows.
    """
    gap = _difference(started.first_index, state.next_index, bits=32)
    lost = _difference(started.sequence, state.next_sequence, bits=16)
    if started.boot != state.boot or gap < 0 or lost < 0:
        return None
    return state._replace(
        next_sequence=state.next_sequence + lost,
        next_index=state.next_index + gap,
        lost=state.lost + lost,
        missing=state.missing + gap,
    ), gap


def restart(state: StreamState, started: Started) -> StreamState:
    """Go on with another boot; what was missed in between is not counted here."""
    return state._replace(boot=started.boot, next_sequence=started.sequence, next_index=started.first_index)


def _difference(wrapped: int, expected: int, *, bits: int) -> int:
    """How far `wrapped`, known modulo 2**bits, is ahead of `expected`: the nearest such distance."""
    half = 1 << (bits - 1)
    return (wrapped - expected + half) % (1 << bits) - half
