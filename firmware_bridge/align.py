"""Two bands' streams on one grid of samples and one clock.

Each band's samples keep their order and are all emitted. A band whose samples fall due later than its
neighbour's is shifted later: by undelivered (invalid) samples before its first, afterwards, as crystals
drift, by repeating a sample. The grid is never shortened, so nothing is dropped. While a band is away the
grid goes on by its neighbour; what was emitted as missing meanwhile is reckoned up when it is back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np

from edge.samples import (
    ELECTRODES,
    SIDES,
    WRISTS,
    Bool,
    Float32,
    Float64,
    SampleChunk,
    SegmentStart,
    Side,
)
from firmware_bridge.clock import BandClock, ClockState
from firmware_bridge.stream import NO_SAMPLES, Segment

CHUNK_SAMPLES: Final = 64  # 32 ms, the pipeline's default step; what has arrived sooner goes sooner
_REST: Final[Float32] = np.zeros(ELECTRODES, np.float32)
_REST.setflags(write=False)
_RESOLVED_SAMPLES: Final = 2  # 1 ms: the clocks resolve no less, and a motor unit lasts 5 to 15 ms


class Lane(NamedTuple):
    """One band's samples that wait for their neighbour."""

    waiting: tuple[Segment, ...] = ()
    held: Float32 = _REST  # (E,) the last that was emitted
    clock: ClockState = ClockState()
    shift: int = 0  # grid index - band's sample index
    repeated: int = 0  # samples put in to follow the neighbour's crystal
    owed: int = 0  # samples emitted as missing since the band left, of which it may have taken fewer
    begun: bool = False  # a sample of this band was emitted
    away: bool = False  # the link is gone, the band may come back
    ended: bool = False

    @property
    def samples(self) -> int:
        """How many wait."""
        return sum(segment.samples for segment in self.waiting)


class Break(NamedTuple):
    """Why a band's samples went on after a while, and what that cost."""

    reason: Literal["reconnected", "restarted"]
    missing: int  # samples
    uncertain: int  # samples, by which `missing` may be wrong
    next_index: int  # of the band's samples


class AlignState(NamedTuple):
    """Both lanes, None for a band that is not worn; how far the grid has got."""

    lanes: tuple[Lane | None, ...]  # by wrist
    emitted: int = 0  # grid index of the next sample
    next_s: float | None = None  # host time of the next sample
    segments: tuple[SegmentStart, ...] = ()  # that begin after what was emitted


@dataclass(frozen=True)
class Aligner:
    """Puts bands on one grid. All methods are pure."""

    sides: tuple[Side, ...] = SIDES
    clock: BandClock = field(default_factory=BandClock)
    chunk_samples: int = CHUNK_SAMPLES

    def initial_state(self) -> AlignState:
        """Before the first packet."""
        return AlignState(tuple(Lane() if side in self.sides else None for side in SIDES))

    def begin(self, state: AlignState, wrist: int, index: int) -> AlignState:
        """A band's first sample will be its sample `index`."""
        return _with_lane(state, wrist, worn(state, wrist)._replace(shift=-index))

    def push(
        self, state: AlignState, wrist: int, segment: Segment, index: int, arrival_s: float
    ) -> AlignState:
        """Take a band's next samples, which end before its sample `index` and arrived at `arrival_s`."""
        lane = worn(state, wrist)
        clock = self.clock.step(lane.clock, index, arrival_s)
        return _with_lane(state, wrist, lane._replace(waiting=(*lane.waiting, segment), clock=clock))

    def ping(self, state: AlignState, wrist: int, index: int, sent_s: float, received_s: float) -> AlignState:
        """A band was at its sample `index` between these moments."""
        lane = worn(state, wrist)
        return _with_lane(
            state, wrist, lane._replace(clock=self.clock.ping(lane.clock, index, sent_s, received_s))
        )

    def leave(self, state: AlignState, wrist: int) -> AlignState:
        """A band is gone for a while: what it takes is missing until it is back."""
        return _with_lane(state, wrist, worn(state, wrist)._replace(away=True))

    def resume(self, state: AlignState, wrist: int, pause: Break) -> AlignState:
        """A band is back. Where more was emitted as missing than it took, it is shifted later."""
        lane = worn(state, wrist)
        still_missing = max(0, pause.missing - lane.owed)
        lane = lane._replace(
            waiting=(*lane.waiting, Segment(still_missing, NO_SAMPLES)),
            clock=lane.clock if pause.reason == "reconnected" else ClockState(),
            owed=0,
            away=False,
        )
        first = state.emitted + lane.samples
        start = SegmentStart(first, SIDES[wrist], pause.reason, pause.missing, pause.uncertain)
        state = _with_lane(state, wrist, lane._replace(shift=first - pause.next_index))
        return state._replace(segments=(*state.segments, start))

    def end(self, state: AlignState, wrist: int) -> AlignState:
        """Nothing follows on this band: its neighbour no longer waits for it."""
        return _with_lane(state, wrist, worn(state, wrist)._replace(ended=True))

    def pull(self, state: AlignState) -> tuple[AlignState, SampleChunk | None]:
        """Give what every band has delivered, at most `chunk_samples`; None where one is still awaited.

        The first chunk waits for a second of each band, from which the bands' offset is known.
        """
        lanes = [lane for lane in state.lanes if lane is not None]
        if state.next_s is None and not all(lane.clock.settled or lane.ended or lane.away for lane in lanes):
            return state, None
        state = self._realign(state)
        lanes = [lane for lane in state.lanes if lane is not None]
        counts = [lane.samples for lane in lanes if lane.waiting or not (lane.ended or lane.away)]
        count = min([*counts, self.chunk_samples]) if counts else 0
        if count == 0:
            return state, None
        return self._emit(state, count)

    def _realign(self, state: AlignState) -> AlignState:
        left, right = state.lanes
        if left is None or right is None or not (_timed(left) and _timed(right)):
            return state
        later_s = self._due_s(right, state.emitted) - self._due_s(left, state.emitted)
        samples = round(later_s * self.clock.rate_hz)
        if abs(samples) < _RESOLVED_SAMPLES:
            return state
        wrist, lane = (1, right) if samples > 0 else (0, left)
        at = state.emitted
        moved = tuple(
            start._replace(first_index=start.first_index + abs(samples))
            if start.side == SIDES[wrist] and start.first_index >= at
            else start
            for start in state.segments
        )
        return _with_lane(state, wrist, _shifted(lane, abs(samples)))._replace(segments=moved)

    def _due_s(self, lane: Lane, grid_index: int) -> float:
        return self.clock.host_s(lane.clock, grid_index - lane.shift)

    def _emit(self, state: AlignState, count: int) -> tuple[AlignState, SampleChunk]:
        emg_uv = np.zeros((count, WRISTS, ELECTRODES), np.float32)
        valid = np.zeros((count, WRISTS), np.bool_)
        lanes = list(state.lanes)
        for wrist, lane in enumerate(state.lanes):
            if lane is not None:
                lanes[wrist], emg_uv[:, wrist], valid[:, wrist] = _take(lane, count)
        next_s, time_s = self._times(state, count)
        stop = state.emitted + count
        begun = tuple(start for start in state.segments if start.first_index < stop)
        later = tuple(start for start in state.segments if start.first_index >= stop)
        chunk = SampleChunk(state.emitted, time_s, emg_uv, valid, begun)
        return AlignState(tuple(lanes), stop, next_s, later), chunk

    def _times(self, state: AlignState, count: int) -> tuple[float, Float64]:
        """Times that steer to the reference band's clock, never back: between half and twice the rate.

        The reference is the first band whose clock is settled, before that the first that has sent anything;
        only then is there something to emit.
        """
        known = [lane for lane in state.lanes if lane is not None and lane.clock.known]
        timed = [lane for lane in known if lane.clock.settled]
        period_s = 1 / self.clock.rate_hz
        if state.next_s is not None and not timed:  # all have restarted: go on evenly
            return state.next_s + count * period_s, _evenly(state.next_s, period_s, count)
        reference = (timed or known)[0]
        start_s = self._due_s(reference, state.emitted) if state.next_s is None else state.next_s
        wanted_s = (self._due_s(reference, state.emitted + count) - start_s) / count
        step_s = min(max(wanted_s, 0.5 * period_s), 2 * period_s)
        return start_s + count * step_s, _evenly(start_s, step_s, count)


def _evenly(start_s: float, step_s: float, count: int) -> Float64:
    times_s: Float64 = start_s + np.arange(count, dtype=np.float64) * step_s
    return times_s


def worn(state: AlignState, wrist: int) -> Lane:
    """The lane of a band that is worn."""
    lane = state.lanes[wrist]
    if lane is None:
        raise ValueError(f"the {SIDES[wrist]} band is not one of this source's")
    return lane


def _timed(lane: Lane) -> bool:
    return lane.clock.settled and not lane.ended and not lane.away


def _with_lane(state: AlignState, wrist: int, lane: Lane) -> AlignState:
    lanes = list(state.lanes)
    lanes[wrist] = lane
    return state._replace(lanes=tuple(lanes))


def _shifted(lane: Lane, samples: int) -> Lane:
    """The lane `samples` later: repeats of its last sample, which are real only once there was one."""
    if lane.begun:
        more = Segment(0, np.broadcast_to(lane.held, (samples, ELECTRODES)))
    else:
        more = Segment(samples, NO_SAMPLES)
    return lane._replace(
        waiting=(more, *lane.waiting),
        shift=lane.shift + samples,
        repeated=lane.repeated + (samples if lane.begun else 0),
    )


def _take(lane: Lane, count: int) -> tuple[Lane, Float32, Bool]:
    """The next `count` samples; a lane that has fewer is padded with missing ones."""
    emg_uv = np.empty((count, ELECTRODES), np.float32)
    valid = np.zeros(count, np.bool_)
    waiting, held, at = list(lane.waiting), lane.held, 0
    while waiting and at < count:
        missing, values = waiting[0]
        gap = min(missing, count - at)
        emg_uv[at : at + gap] = held
        at += gap
        taken = values[: count - at] if gap == missing else NO_SAMPLES
        emg_uv[at : at + len(taken)], valid[at : at + len(taken)] = taken, True
        at += len(taken)
        held = taken[-1] if len(taken) else held
        rest = Segment(missing - gap, values[len(taken) :])
        waiting[:1] = [rest] if rest.samples else []
    emg_uv[at:] = held
    rest_of_lane = lane._replace(
        waiting=tuple(waiting),
        held=held,
        begun=lane.begun or bool(valid.any()),
        owed=lane.owed + (count - at if lane.away else 0),
    )
    return rest_of_lane, emg_uv, valid
