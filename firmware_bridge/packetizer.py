"""What a band does with samples: fill packets. The reference for firmware, and the virtual band's own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.samples import ELECTRODES, Bool, Float32
from firmware_bridge import rice
from firmware_bridge.packet import (
    HEADER_BYTES,
    MAX_VALUE_BYTES,
    Codec,
    Counts,
    Flags,
    Packet,
    notification_bytes,
    quantize,
    samples_per_packet,
)

_NONE: Final = np.zeros((0, ELECTRODES), np.int16)
_NONE.setflags(write=False)


# A RICE12 packet ends here at the latest: 15.5 ms, out of step with the radio as `packet_samples` says.
MOST_RICE_SAMPLES: Final = 31

_LEAST_UNLOCKED: Final = 7  # below it the loss of a sample costs too much, and a packet lasts 3 ms at most


def packet_samples(codec: Codec, mtu: int) -> int:
    """How many samples a band puts into a packet: nearly all that fit, and out of step with the radio.

    A packet leaves at the first connection event after its last sample; events are n x 1.25 ms apart. The
    wait takes values a common measure of packet and interval apart: 10 ms for 20 samples and 30 ms.
    The least of them, a matter of chance, is what the host's clock cannot tell from an offset. A number of
    samples without the factors 2, 3 and 5 has the measure 0.5 ms at nearly every interval.
    """
    fit = samples_per_packet(codec, mtu)
    if codec is Codec.RICE12:
        return MOST_RICE_SAMPLES if fit else 0
    return max((n for n in range(_LEAST_UNLOCKED, fit + 1) if math.gcd(n, 30) == 1), default=fit)


class PacketizerState(NamedTuple):
    """Samples that do not fill a packet yet, and what comes next, counted from the band's boot."""

    counts: Counts = _NONE  # (n, E)
    next_index: int = 0  # of the sample after `counts`
    next_sequence: int = 0


@dataclass(frozen=True)
class Packetizer:
    """Fills packets of `samples` samples; `step` is pure. Missing samples are not sent: the index jumps.

    With RICE12 a packet takes as many as fit `value_bytes` one way or the other, `samples` at most, and goes
    out as PACK12 where that is not longer.
    """

    codec: Codec
    samples: int
    boot: int = 0
    value_bytes: int = MAX_VALUE_BYTES

    @classmethod
    def for_mtu(cls, codec: Codec, mtu: int, boot: int = 0) -> Packetizer:
        """As a band packs at an MTU that carries a sample, `minimum_mtu` at least."""
        return cls(codec, max(1, packet_samples(codec, mtu)), boot, notification_bytes(mtu))

    def step(
        self, state: PacketizerState, emg_uv: Float32, valid: Bool
    ) -> tuple[PacketizerState, list[Packet]]:
        """Take (T, E) microvolts and (T,) validity; give the packets that are complete."""
        counts = quantize(emg_uv, self.codec)
        packets: list[Packet] = []
        for start, stop in _runs(valid):
            if valid[start]:
                state, full = self._fill(state, counts[start:stop])
            else:
                state, full = self.flush(state)
                state = state._replace(next_index=state.next_index + stop - start)
            packets += full
        return state, packets

    def flush(self, state: PacketizerState) -> tuple[PacketizerState, list[Packet]]:
        """Send what was begun as it is: another codec or MTU can go on from the state."""
        if len(state.counts) == 0:
            return state, []
        packet = self._packet(state.next_sequence, state.next_index - len(state.counts), state.counts)
        return PacketizerState(_NONE, state.next_index, state.next_sequence + 1), [packet]

    def end(self, state: PacketizerState) -> list[Packet]:
        """The last samples, and the packet that says that there are no more."""
        state, packets = self.flush(state)
        return [
            *packets,
            Packet(self.codec, Flags.END, state.next_sequence, state.next_index, self.boot, _NONE),
        ]

    def _fill(self, state: PacketizerState, counts: Counts) -> tuple[PacketizerState, list[Packet]]:
        pending = np.concatenate([state.counts, counts])
        index = state.next_index - len(state.counts)
        packets: list[Packet] = []
        while size := self._full(pending):
            sequence = state.next_sequence + len(packets)
            packets.append(self._packet(sequence, index, pending[:size]))
            pending, index = pending[size:], index + size
        return PacketizerState(pending, index + len(pending), state.next_sequence + len(packets)), packets

    def _full(self, pending: Counts) -> int:
        """How many samples the next packet takes; 0 while it has room for more."""
        if self.codec is not Codec.RICE12:
            return self.samples if len(pending) >= self.samples else 0
        if not len(pending):
            return 0
        ahead = pending[: self.samples]
        packed = Codec.PACK12.sample_bytes * np.arange(1, len(ahead) + 1)
        fits = np.minimum(rice.sizes(ahead), packed) <= self.value_bytes - HEADER_BYTES
        fit = int(np.argmin(fits)) if not fits.all() else len(ahead)
        return fit if fit < len(ahead) or len(ahead) == self.samples else 0

    def _packet(self, sequence: int, first_index: int, counts: Counts) -> Packet:
        codec = self.codec
        if codec is Codec.RICE12 and rice.sizes(counts)[-1] >= Codec.PACK12.sample_bytes * len(counts):
            codec = Codec.PACK12
        return Packet(codec, Flags.NONE, sequence, first_index, self.boot, counts)


def _runs(valid: Bool) -> Iterator[tuple[int, int]]:
    """The stretches of equal validity, as (start, stop)."""
    edges = [0, *(np.flatnonzero(np.diff(valid)) + 1).tolist(), len(valid)]
    return ((start, stop) for start, stop in itertools.pairwise(edges) if stop > start)
