"""One band's packets in, one gapless stream of samples out; each missing sample is declared."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.errors import SourceLost
from edge.samples import ELECTRODES, RATE_HZ, Bool, Float32
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import Flags, Packet, dequantize

MAX_GAP_SAMPLES: Final = 20_000  # 10 s: a link that is silent for 0.5 s is lost, so this is no radio's loss

_REST: Final = np.zeros(ELECTRODES, np.float32)
_REST.setflags(write=False)


class StreamState(NamedTuple):
    """Where a band's stream stands, and what has been counted since START.

    Within a boot of the band: `received` + `missing` == samples taken, exactly, once the end has arrived.
    """

    boot: int | None = None  # of the first packet
    next_sequence: int = 0  # of the next packet, not wrapped
    next_index: int = 0  # of the next sample, not wrapped
    held: Float32 = _REST  # the last sample, which missing ones repeat
    ended: bool = False
    packets: int = 0
    lost: int = 0  # packets
    duplicates: int = 0  # packets
    received: int = 0  # samples
    missing: int = 0  # samples


class Segment(NamedTuple):
    """Samples that follow on those before; missing ones hold the last value."""

    emg_uv: Float32  # (T, E)
    valid: Bool  # (T,)


NOTHING: Final = Segment(np.zeros((0, ELECTRODES), np.float32), np.zeros(0, np.bool_))


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
    segment = _extend(state.held, gap, packet)
    after = state._replace(
        boot=packet.boot,
        next_sequence=state.next_sequence + ahead + 1,
        next_index=state.next_index + len(segment.valid),
        held=segment.emg_uv[-1] if len(segment.emg_uv) else state.held,
        ended=bool(packet.flags & Flags.END),
        packets=state.packets + 1,
        lost=state.lost + ahead,
        received=state.received + len(packet.counts),
        missing=state.missing + gap,
    )
    return after, segment


def _extend(held: Float32, gap: int, packet: Packet) -> Segment:
    values = dequantize(packet.counts, packet.codec)
    valid = np.ones(gap + len(values), np.bool_)
    if gap:
        valid[:gap] = False
        values = np.concatenate([np.broadcast_to(held, (gap, ELECTRODES)), values])
    return Segment(values, valid)


def _difference(wrapped: int, expected: int, *, bits: int) -> int:
    """How far `wrapped`, known modulo 2**bits, is ahead of `expected`: the nearest such distance."""
    half = 1 << (bits - 1)
    return (wrapped - expected + half) % (1 << bits) - half
