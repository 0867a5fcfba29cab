"""One band's part of the source: what its link has brought, counted, handed to the aligner."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from edge.errors import SourceLost
from edge.samples import ELECTRODES, SIDES, Side
from firmware_bridge import stream
from firmware_bridge.align import Aligner, AlignState, worn
from firmware_bridge.clock import BandClock, ClockState
from firmware_bridge.errors import BadPacket
from firmware_bridge.gatt import Status
from firmware_bridge.link import Arrival, BandLink, LinkState, StartedAt
from firmware_bridge.packet import Codec, decode
from firmware_bridge.rate import RateState, check_rate
from firmware_bridge.stream import StreamState
from firmware_bridge.supervise import Supervisor

SILENCE_S: Final = 0.5  # no new packet for so long is a lost band: 33 connection intervals of 15 ms
_LATEST: Final = 4096  # packets whose delays are kept: 20 to 60 s
_DOUBT_S: Final = 1.0  # how far a band's numbering and the host's clock may be apart after a minute's break


class LinkStats(NamedTuple):
    """What one band's link has done since START."""

    side: Side
    address: str
    codec: Codec  # in use, as the band tells; a packet that would be longer in it comes as pack12
    mtu: int
    phy: int  # 1 for 1M, 2 for 2M, 3 for coded; 0 before it is known
    interval_ms: float  # of the connection, 0 before it is known
    battery_percent: int | None
    lead_off: tuple[int, ...]  # electrodes without contact, by the band's own measure
    packets: int  # taken
    payload_bytes: int  # of those, headers included
    lost: int  # packets that never came
    duplicates: int  # packets that came again
    refused: int  # notifications that were no valid packet
    refusals: tuple[tuple[str, int], ...]  # of which kind, and how many
    received_samples: int
    missing_samples: int  # declared, each an invalid sample of a chunk
    repeated_samples: int  # put in to keep the bands together
    reconnects: int
    queue_overflows: int  # notifications that this machine had no room for
    band_overflows: int  # packets that the band had no room for, as far as it has told
    jitter_p50_ms: float | None  # how late packets were, against the fitted clock; None before it is
    jitter_p99_ms: float | None


class LaneReader:
    """One supervised band, and how far its stream has got."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.wrist = SIDES.index(supervisor.band.side)
        self.link: BandLink | None = None  # that is read: the supervisor's, once it was taken notice of
        self.stream = StreamState()
        self._rate = RateState()
        self._codec = Codec.RICE12
        self._refusals: Counter[str] = Counter()
        self._refusal: BadPacket | None = None  # the last, until a packet is taken
        self._bytes = 0
        self._overflows = 0  # of links that are gone
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_LATEST)
        self._taken = 0  # packets, at the last look for silence
        self._before = -1  # packets, when the present link began; of the first, connecting alone is of use
        self._silent_s = 0.0

    @property
    def useful(self) -> bool:
        """Whether the present link has brought samples."""
        return self.stream.packets > self._before

    async def start(self, begin: Callable[[int, int], None]) -> None:
        """START for the first time; `begin` is told the wrist and the first sample's index."""
        self.link = self.supervisor.link
        if self.link is None:
            raise RuntimeError("a band is started once it is linked")
        await self.link.start()
        if (answer := self.link.start_answer) is not None:
            self.stream = stream.begin(answer.started)
            begin(self.wrist, answer.started.first_index)

    @property
    def ping_due_s(self) -> float:
        """When to ask which sample it is, by the clock; infinite while the band does not stream."""
        link = self.link
        streaming = link is not None and link.state is LinkState.STREAMING and not self.stream.ended
        return link.ping_due_s if link is not None and streaming else math.inf

    def ping(self) -> None:
        """Ask now; the answer is read with the packets."""
        self._linked().ping_soon()

    def read(self, state: AlignState, aligner: Aligner) -> AlignState:
        """Take what has arrived. Raises SourceLost where the band restarted or leapt, BandRefused."""
        link = self._linked()
        for pong in link.take_pongs():
            index = self._unwrapped(pong.sample_index)
            state = aligner.ping(state, self.wrist, index, pong.sent_s, pong.received_s)
        for arrival in link.take():
            try:
                state = self._receive(arrival, state, aligner)
            except BadPacket as refusal:
                self._refusals[refusal.kind] += 1
                self._refusal = refusal
        return state

    def watch(self, passed_s: float) -> None:
        """Raise SourceLost where the link is gone, or has been silent for too long.

        What arrives and is refused is silence: no sample comes of it.
        """
        link = self._linked()
        if self.stream.ended:
            return
        if link.state is LinkState.LOST:
            raise SourceLost(
                f"the {link.band.side} band disconnected; bring it near, charge it and connect again"
            )
        self._silent_s = 0.0 if self.stream.packets > self._taken else self._silent_s + passed_s
        self._taken = self.stream.packets
        if self._silent_s > SILENCE_S:
            raise SourceLost(self._silence())

    def resume(self, state: AlignState, aligner: Aligner) -> AlignState:
        """The supervisor has linked the band again: go on behind the gap."""
        if self.link is not None:
            self._overflows += self.link.queue_overflows
        self.link = self.supervisor.link
        self._silent_s = 0.0
        self._before = self.stream.packets
        self._rate = RateState()
        answer = self._linked().start_answer
        if answer is None:
            return state
        resumed = stream.resume(self.stream, answer.started)
        ahead_s = 0.0 if resumed is None else self._ahead_s(resumed[0], answer, state, aligner.clock)
        if resumed is not None and abs(ahead_s) <= _DOUBT_S:
            self.stream, missing = resumed
            return aligner.resume(state, self.wrist, missing, self.stream.next_index)
        self.stream = stream.restart(self.stream, answer.started)
        self._arrivals.clear()
        clock = self._fresh_clock(answer, aligner.clock)
        counted = resumed[1] if resumed is not None and ahead_s > 0 else None
        return aligner.restart(state, self.wrist, self.stream.next_index, clock, counted)

    def stats(self, state: AlignState, clock: BandClock) -> LinkStats:
        """The counters so far."""
        link, band = self.supervisor.link or self.link, self.supervisor.band
        status = link.status if link is not None else None
        late_ms = self._late_ms(worn(state, self.wrist).clock, clock)
        return LinkStats(
            side=band.side,
            address=band.address,
            codec=_in_use(status, self._codec),
            mtu=status.mtu if status else 0,
            phy=status.phy if status else 0,
            interval_ms=status.interval_ms if status else 0.0,
            battery_percent=link.battery_percent if link else None,
            lead_off=tuple(e for e in range(ELECTRODES) if status and status.lead_off >> e & 1),
            packets=self.stream.packets,
            payload_bytes=self._bytes,
            lost=self.stream.lost,
            duplicates=self.stream.duplicates,
            refused=self._refusals.total(),
            refusals=tuple(self._refusals.most_common()),
            received_samples=self.stream.received,
            missing_samples=self.stream.missing + worn(state, self.wrist).unknown,
            repeated_samples=worn(state, self.wrist).repeated,
            reconnects=self.supervisor.reconnects,
            queue_overflows=self._overflows + (self.link.queue_overflows if self.link else 0),
            band_overflows=status.overflows if status else 0,
            jitter_p50_ms=float(np.percentile(late_ms, 50)) if len(late_ms) else None,
            jitter_p99_ms=float(np.percentile(late_ms, 99)) if len(late_ms) else None,
        )

    def _receive(self, arrival: Arrival, state: AlignState, aligner: Aligner) -> AlignState:
        packet = decode(arrival.data)
        self.stream, segment = stream.step(self.stream, packet)
        self._refusal = None
        if segment.samples:
            self._codec = packet.codec
            self._bytes += len(arrival.data)
            self._arrivals.append((self.stream.next_index, arrival.at_s))
            self._rate = check_rate(self._rate, self.stream.next_index, arrival.at_s, self._name)
            state = aligner.push(state, self.wrist, segment, self.stream.next_index, arrival.at_s)
        return aligner.end(state, self.wrist) if self.stream.ended else state

    def _ahead_s(self, after: StreamState, answer: StartedAt, state: AlignState, fit: BandClock) -> float:
        """How many more seconds a band has counted through a break than have passed by the host's clock.

        Much more: this machine, and its clock, were asleep, or the band has leapt. Much less: the band stood
        still, or has begun anew and not said so. Its samples have the host's time all the same.
        """
        clock = worn(state, self.wrist).clock
        if not clock.known:
            return 0.0
        due_s = fit.host_s(clock, after.next_index)
        return due_s - min(max(due_s, answer.sent_s), answer.received_s)

    def _fresh_clock(self, answer: StartedAt, fit: BandClock) -> ClockState:
        """The clock of a new boot: START, too, says which sample it was between asking and answer."""
        clock = ClockState()
        for pong in self._linked().take_pongs():
            index = self._unwrapped(pong.sample_index)
            clock = fit.ping(clock, index, pong.sent_s, pong.received_s)
        return fit.ping(clock, answer.started.first_index, answer.sent_s, answer.received_s)

    def _late_ms(self, state: ClockState, clock: BandClock) -> list[float]:
        if not state.settled:
            return []
        return [1000 * (at_s - clock.host_s(state, index)) for index, at_s in self._arrivals]

    def _unwrapped(self, sample_index: int) -> int:
        expected = self.stream.next_index
        return expected + (sample_index - expected + (1 << 31)) % (1 << 32) - (1 << 31)

    def _silence(self) -> str:
        sent = "nothing"
        if self._refusal is not None:
            sent = f"nothing that can be used ({self._refusal}, the last of {self._refusals.total()})"
        return (
            f"the {self.supervisor.band.side} band has sent {sent} for {1000 * SILENCE_S:.0f} ms; bring it "
            "near, charge it and connect again"
        )

    @property
    def _name(self) -> str:
        return f"the {self.supervisor.band.side} band ({self.supervisor.band.address})"

    def _linked(self) -> BandLink:
        if self.link is None:
            raise RuntimeError("the band is not linked")
        return self.link


def _in_use(status: Status | None, last: Codec) -> Codec:
    """By the band's word, where it is of a codec that is known here; else that of the `last` packet."""
    known = {codec.value for codec in Codec}
    return Codec(status.codec) if status is not None and status.codec in known else last
