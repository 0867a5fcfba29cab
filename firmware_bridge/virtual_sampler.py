"""What a band does without its radio: take samples at its crystal's pace, number them, fill packets."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.samples import Bool, Float32, Float64
from firmware_bridge.packet import Packet
from firmware_bridge.packetizer import Packetizer, PacketizerState

Int64 = npt.NDArray[np.int64]

_ROUNDING: Final = 1e-6  # samples: what floats lose in a day of them


class Crystal(NamedTuple):
    """A band's sample index at a tick of true time: `index0` at `tick0`, and `ppm` too fast from there."""

    index0: int = 0
    tick0: float = 0.0
    ppm: float = 0.0

    def index_at(self, tick: float) -> float:
        """The index that the band has reached at `tick`."""
        return self.index0 + (tick - self.tick0) * (1 + 1e-6 * self.ppm)

    def tick_of(self, index: float) -> float:
        """When the band reaches `index`."""
        return self.tick0 + (index - self.index0) / (1 + 1e-6 * self.ppm)

    def ticks_of(self, index: Int64) -> Float64:
        """`tick_of` each."""
        return self.tick0 + (index - self.index0) / (1 + 1e-6 * self.ppm)


class DuePacket(NamedTuple):
    """A packet, and the tick at which its last sample is over."""

    due_tick: float
    packet: Packet


class Sampler:
    """One boot of a band: an index that runs from it on, listened to or not, and a sequence of packets."""

    def __init__(self, boot: int, tick: float = 0.0, ppm: float = 0.0) -> None:
        self.boot = boot
        self.crystal = Crystal(0, tick, ppm)
        self.next_index = 0  # of the next sample
        self._packing = PacketizerState()
        self._packetizer: Packetizer | None = None

    def drift(self, ppm: float) -> None:
        """From the next sample on the crystal is `ppm` too fast."""
        self.crystal = Crystal(self.next_index, self.crystal.tick_of(self.next_index), ppm)

    def current(self, tick: float) -> int:
        """The sample that is being taken at `tick`."""
        return math.floor(self.crystal.index_at(tick) + _ROUNDING)

    def begin(self, tick: float) -> None:
        """A stream begins with the first sample after `tick`."""
        self.next_index = max(self.next_index, math.ceil(self.crystal.index_at(tick)))
        self.forget()

    def forget(self) -> None:
        """What was not sent will not be: the next packet begins with the next sample."""
        self._packing = PacketizerState(next_index=self.next_index, next_sequence=self._packing.next_sequence)
        self._packetizer = None

    def wait_until(self, tick: float) -> None:
        """The next sample is the one at `tick`, however late that is: a source began after the stream."""
        self.crystal = Crystal(self.next_index, tick, self.crystal.ppm)

    @property
    def numbering(self) -> tuple[int, int]:
        """Sequence and first index of the packet to come."""
        packing = self._packing
        return packing.next_sequence, packing.next_index - len(packing.counts)

    def take(
        self, first_tick: int, emg_uv: Float32, valid: Bool, packetizer: Packetizer | None
    ) -> list[DuePacket]:
        """Sample what the wrist does from `first_tick` on, a row a tick, the row nearest to each moment.

        Args:
            first_tick: of the first row.
            emg_uv: (T, E) microvolts.
            valid: (T,)
            packetizer: fills packets; None while nobody listens, and the index runs on.
        """
        stop = max(self.next_index, math.ceil(self.crystal.index_at(first_tick + len(valid) - 0.5)))
        index = np.arange(self.next_index, stop)
        self.next_index = stop
        if packetizer is None or not len(index):
            return []
        rows = np.rint(self.crystal.ticks_of(index)).astype(np.int64) - first_tick
        rows = np.clip(rows, 0, len(valid) - 1)
        begun = self._change_to(packetizer)
        self._packing, packets = packetizer.step(self._packing, emg_uv[rows], valid[rows])
        return self._due(begun + packets)

    def end(self, packetizer: Packetizer) -> list[DuePacket]:
        """The rest, and the packet that ends the stream."""
        begun = self._change_to(packetizer)
        return self._due(begun + packetizer.end(self._packing))

    def _change_to(self, packetizer: Packetizer) -> list[Packet]:
        """What was begun in another codec or size, as a packet of its own."""
        before, self._packetizer = self._packetizer, packetizer
        if before is None or before == packetizer or not len(self._packing.counts):
            return []
        *packets, end = before.end(self._packing)
        self._packing = PacketizerState(next_index=end.first_index, next_sequence=end.sequence)
        return packets

    def _due(self, packets: list[Packet]) -> list[DuePacket]:
        return [
            DuePacket(self.crystal.tick_of(packet.first_index + len(packet.counts)), packet)
            for packet in packets
        ]
