"""Both bands as one source of samples."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, NamedTuple

from edge.errors import QwristError, SourceLost
from edge.samples import RATE_HZ, SIDES, SampleChunk, Side, SourceInfo
from firmware_bridge import stream
from firmware_bridge.align import Aligner, AlignState
from firmware_bridge.backends import Backend
from firmware_bridge.errors import BadPacket
from firmware_bridge.link import Arrival, BandLink, Clock, LinkState, open_link
from firmware_bridge.packet import Codec, decode
from firmware_bridge.scan import find
from firmware_bridge.stream import StreamState

SILENCE_S: Final = 0.5  # no new packet for so long is a lost band: 33 connection intervals of 15 ms
_LOOK_S: Final = 0.1  # how often silence is looked for


class LinkStats(NamedTuple):
    """What one band's link has done since START."""

    side: Side
    address: str
    codec: Codec
    mtu: int
    battery_percent: int | None
    packets: int  # taken
    lost: int  # packets that never came
    duplicates: int  # packets that came again
    refused: int  # notifications that were no valid packet
    received_samples: int
    missing_samples: int  # declared, each an invalid sample of a chunk
    repeated_samples: int  # put in to keep the bands together
    queue_overflows: int  # notifications that this machine had no room for
    band_overflows: int  # packets that the band had no room for, as far as it has told


class _Lane:
    """One link and how far its stream has got."""

    def __init__(self, link: BandLink) -> None:
        self.link = link
        self.wrist = SIDES.index(link.band.side)
        self.stream = StreamState()
        self.refused = 0
        self.refusal: BadPacket | None = None  # the last, until a packet is taken
        self.taken = 0  # packets, at the last look for silence
        self.silent_s = 0.0


class BandPair:
    """A SampleSource over one or two open links; it streams once."""

    def __init__(self, links: Sequence[BandLink], clock: Clock, woken: asyncio.Event) -> None:
        sides = tuple(link.band.side for link in links)
        self.info = SourceInfo(
            name=" and ".join(link.band.name for link in links), rate_hz=RATE_HZ, sides=sides, filtered=False
        )
        self._lanes = [_Lane(link) for link in links]
        self._clock = clock
        self._woken = woken
        self._aligner = Aligner(sides)
        self._state: AlignState = self._aligner.initial_state()
        self._begun = False
        self._looked_s = 0.0

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """Start the bands and iterate until they end.

        Raises SourceLost where a band disconnects, restarts, leaps ahead or sends nothing new and whole for
        500 ms; all that had arrived is delivered first.
        """
        if self._begun:
            raise RuntimeError("a BandPair streams once; connect again")
        self._begun = True
        try:
            for lane in self._lanes:
                await lane.link.start()
                if (started := lane.link.started) is not None:
                    lane.stream = StreamState(
                        boot=started.boot, next_sequence=started.sequence, next_index=started.first_index
                    )
                    self._state = self._aligner.begin(self._state, lane.wrist, started.first_index)
            self._looked_s = self._clock()
            while True:
                self._woken.clear()
                loss = self._collect()
                for chunk in self._ready(flush=loss is not None):
                    yield chunk
                if loss is not None:
                    raise loss
                if all(lane.stream.ended for lane in self._lanes):
                    return
                await self._wait()
        finally:
            await self._stop()

    def stats(self) -> tuple[LinkStats, ...]:
        """The counters of each link, in the order of `info.sides`."""
        return tuple(self._lane_stats(lane) for lane in self._lanes)

    def _collect(self) -> SourceLost | None:
        """Take what has arrived; give what ends the stream early, if something does."""
        for lane in self._lanes:
            for arrival in lane.link.take():
                try:
                    self._receive(lane, arrival)
                except BadPacket as refusal:
                    lane.refused += 1
                    lane.refusal = refusal
                except SourceLost as error:
                    return error
            if lane.link.state is LinkState.LOST and not lane.stream.ended:
                return SourceLost(
                    f"the {lane.link.band.side} band disconnected; bring it near, charge it and connect again"
                )
        return self._silence()

    def _silence(self) -> SourceLost | None:
        """Whose packets were not to be taken for too long, not counting time that this process slept through.

        What arrives and is refused is silence: no sample comes of it.
        """
        now_s = self._clock()
        passed_s = min(now_s - self._looked_s, 2 * _LOOK_S)
        self._looked_s = now_s
        for lane in self._lanes:
            lane.silent_s = 0.0 if lane.stream.packets > lane.taken else lane.silent_s + passed_s
            lane.taken = lane.stream.packets
            if lane.silent_s > SILENCE_S and not lane.stream.ended:
                return SourceLost(_silence_of(lane))
        return None

    def _receive(self, lane: _Lane, arrival: Arrival) -> None:
        lane.stream, segment = stream.step(lane.stream, decode(arrival.data))
        lane.refusal = None
        if len(segment.valid):
            self._state = self._aligner.push(
                self._state, lane.wrist, segment, lane.stream.next_index, arrival.at_s
            )
        if lane.stream.ended:
            self._state = self._aligner.end(self._state, lane.wrist)

    def _ready(self, *, flush: bool) -> Iterator[SampleChunk]:
        if flush:
            for lane in self._lanes:
                self._state = self._aligner.end(self._state, lane.wrist)
        while True:
            self._state, chunk = self._aligner.pull(self._state)
            if chunk is None:
                return
            yield chunk

    async def _wait(self) -> None:
        """Until something arrives, or it is time to look who has been silent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._woken.wait()

    async def _stop(self) -> None:
        for lane in self._lanes:
            with suppress(QwristError):  # a band that is gone has stopped
                await lane.link.stop()

    def _lane_stats(self, lane: _Lane) -> LinkStats:
        link, counted = lane.link, lane.stream
        aligned = self._state.lanes[lane.wrist]
        return LinkStats(
            side=link.band.side,
            address=link.band.address,
            codec=link.codec,
            mtu=link.mtu,
            battery_percent=link.battery_percent,
            packets=counted.packets,
            lost=counted.lost,
            duplicates=counted.duplicates,
            refused=lane.refused,
            received_samples=counted.received,
            missing_samples=counted.missing,
            repeated_samples=aligned.repeated if aligned else 0,
            queue_overflows=link.queue_overflows,
            band_overflows=link.status.overflows if link.status else 0,
        )


def _silence_of(lane: _Lane) -> str:
    band, lasted = f"the {lane.link.band.side} band", f"for {SILENCE_S * 1000:.0f} ms"
    if lane.refusal is None:
        return f"{band} has sent nothing {lasted}; bring it near and keep other radios away"
    return (
        f"{band} has sent nothing that can be used {lasted} ({lane.refused} packets refused, "
        f"the last: {lane.refusal}); restart it and connect again; if that does not help, update its firmware"
    )


@asynccontextmanager
async def open_pair(
    sides: Sequence[Side], backend: Backend | None, clock: Clock, codec: Codec, scan_timeout_s: float
) -> AsyncIterator[BandPair]:
    """Find the bands, connect to them, and disconnect when the context ends."""
    woken = asyncio.Event()
    bands = await find(sides, scan_timeout_s, backend)
    async with AsyncExitStack() as stack:
        links = []
        for band in bands:
            link = BandLink(band, clock=clock, codec=codec, wake=woken.set, backend=backend)
            links.append(await stack.enter_async_context(open_link(link, backend)))
        yield BandPair(links, clock, woken)
