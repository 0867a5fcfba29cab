"""Two bands' streams on one grid of samples and one clock.

Each band's samples keep their order and are all emitted. A band whose samples fall due later than its
neighbour's is shifted later: by undelivered (invalid) samples before its first, afterwards, as crystals
drift, by repeating a sample. The grid is never shortened, so nothing is dropped. While a band is away the
grid goes on by its neighbour; what was emitted as missing meanwhile is reckoned up when it is back.

Only an Aligner that begins `together` leaves samples out: a band's that came before its neighbour's first.
"""

from __future__ import annotations

import math
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
# While a band is away its neighbour's samples are held back for so long (0.3 s): what was emitted before it
# says where it goes on cannot be taken back, and START and its answer take a few connection intervals.
_AWAY_SAMPLES: Final = 600
_UNPINGED_S: Final = 0.1  # how wrong a clock may be that knows arrivals alone: the slowest link's delay
_MOST_DRIFT: Final = 200e-6  # of a host's against a band's crystal, +-100 ppm each
_REST: Final[Float32] = np.zeros(ELECTRODES, np.float32)
_REST.setflags(write=False)
_RESOLVED_SAMPLES: Final = 1  # bands agree to 0.8 ms, with 2 to 1.1: docs/decisions/0008-one-clock.md


_Reason = Literal["reconnected", "restarted"]
_Cost = tuple[_Reason, int, int]  # of a break: missing samples, and by how many that may be wrong


class Restart(NamedTuple):
    """A band's samples of another boot, until its clock tells where on the grid they belong."""

    next_index: int  # of the first of them
    due_s: float  # when the sample after the last of the boot before was taken, in host seconds
    error_s: float  # by how much that may be wrong
    counted: int | None = None  # samples that the break cost by the band's own numbering, where it runs on
    waiting: tuple[Segment, ...] = ()


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
    restart: Restart | None = None  # that is not placed on the grid yet
    unknown: int = 0  # samples that restarts cost, by the host's clock

    @property
    def samples(self) -> int:
        """How many wait."""
        return sum(segment.samples for segment in self.waiting)


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
    together: bool = False  # begin where both bands have; else with the first of them, the other missing

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
        lane = lane._replace(clock=self.clock.step(lane.clock, index, arrival_s))
        if lane.restart is None:
            lane = lane._replace(waiting=(*lane.waiting, segment))
        else:
            restart = lane.restart._replace(waiting=(*lane.restart.waiting, segment))
            lane = lane._replace(restart=restart)
        return _with_lane(state, wrist, lane)

    def ping(self, state: AlignState, wrist: int, index: int, sent_s: float, received_s: float) -> AlignState:
        """A band was at its sample `index` between these moments."""
        lane = worn(state, wrist)
        return _with_lane(
            state, wrist, lane._replace(clock=self.clock.ping(lane.clock, index, sent_s, received_s))
        )

    def leave(self, state: AlignState, wrist: int) -> AlignState:
        """A band is gone for a while: what it takes is missing until it is back."""
        state = self._placed(state, wrist)
        return _with_lane(state, wrist, worn(state, wrist)._replace(away=True))

    def resume(
        self, state: AlignState, wrist: int, missing: int, next_index: int, uncertain: int = 0
    ) -> AlignState:
        """A band is back with its numbering, `missing` samples later."""
        return self._back(state, wrist, next_index, ("reconnected", missing, uncertain))

    def restart(
        self, state: AlignState, wrist: int, next_index: int, clock: ClockState, counted: int | None = None
    ) -> AlignState:
        """A band is back in another boot, or as if in one; its clock is `clock` so far.

        Nothing is emitted until that has settled: then it is known what the restart cost, by the host's
        clock. Where the band has `counted` another number of samples, that is declared as uncertain.
        """
        lane = worn(state, wrist)
        sent = (
            -lane.shift + state.emitted + lane.samples - lane.owed
        )  # the band's index after its last sample
        due_s, error_s = self._known_s(lane.clock, sent)
        restart = Restart(next_index, due_s, error_s, counted)
        return _with_lane(state, wrist, lane._replace(restart=restart, clock=clock, away=False))

    def _placed(self, state: AlignState, wrist: int) -> AlignState:
        """With a restart on the grid, as well as it is known where."""
        restart = worn(state, wrist).restart
        if restart is None:
            return state
        lane = worn(state, wrist)
        begun_s, error_s = self._known_s(lane.clock, restart.next_index)
        away_s = max(0.0, begun_s - restart.due_s)
        missing = round(away_s * self.clock.rate_hz)
        wrong_s = error_s + restart.error_s + _MOST_DRIFT * away_s
        lane = lane._replace(restart=None, unknown=lane.unknown + missing)
        state = _with_lane(state, wrist, lane)
        uncertain = 1 + math.ceil(wrong_s * self.clock.rate_hz)
        if restart.counted is not None:
            uncertain = max(uncertain, abs(restart.counted - missing))
        state = self._back(state, wrist, restart.next_index, ("restarted", missing, uncertain))
        lane = worn(state, wrist)
        return _with_lane(state, wrist, lane._replace(waiting=(*lane.waiting, *restart.waiting)))

    def _back(self, state: AlignState, wrist: int, next_index: int, cost: _Cost) -> AlignState:
        """Where more was emitted as missing than the band took, it is shifted later."""
        lane, (_, missing, _) = worn(state, wrist), cost
        still_missing = Segment(max(0, missing - lane.owed), NO_SAMPLES)
        lane = lane._replace(waiting=(*lane.waiting, still_missing), owed=0, away=False)
        first = state.emitted + lane.samples
        start = SegmentStart(first, SIDES[wrist], *cost)
        state = _with_lane(state, wrist, lane._replace(shift=first - next_index))
        return state._replace(segments=(*state.segments, start))

    def _known_s(self, clock: ClockState, index: int) -> tuple[float, float]:
        """When a band's sample was taken, and by how much that may be wrong."""
        if not clock.known:
            return 0.0, 0.0
        return self.clock.host_s(clock, index), min(clock.strip.width_s, 2 * _UNPINGED_S) / 2

    def end(self, state: AlignState, wrist: int) -> AlignState:
        """Nothing follows on this band: its neighbour no longer waits for it."""
        state = self._placed(state, wrist)
        return _with_lane(state, wrist, worn(state, wrist)._replace(ended=True))

    def pull(self, state: AlignState) -> tuple[AlignState, SampleChunk | None]:
        """Give what every band has delivered, at most `chunk_samples`; None where one is still awaited.

        The first chunk waits for a second of each band, from which the bands' offset is known.
        """
        lanes = [lane for lane in state.lanes if lane is not None]
        if state.next_s is None and not all(lane.clock.settled or lane.ended or lane.away for lane in lanes):
            return state, None
        for wrist, lane in enumerate(state.lanes):
            if lane is not None and lane.restart is not None:
                if not lane.clock.settled:
                    return state, None
                state = self._placed(state, wrist)
        state = self._realign(state)
        lanes = [lane for lane in state.lanes if lane is not None]
        counts = [lane.samples for lane in lanes if lane.waiting or not (lane.ended or lane.away)]
        behind = _AWAY_SAMPLES if any(lane.away and not lane.ended for lane in lanes) else 0
        count = min(min(counts) - behind, self.chunk_samples) if counts else 0
        if count <= 0:
            return state, None
        return self._emit(state, count)

    def _realign(self, state: AlignState) -> AlignState:
        left, right = state.lanes
        if left is None or right is None:
            return state
        at_first = state.next_s is None
        if not (_timed(left, at_first=at_first) and _timed(right, at_first=at_first)):
            return state
        later_s = self._due_s(right, state.emitted) - self._due_s(left, state.emitted)
        samples = round(later_s * self.clock.rate_hz)
        if abs(samples) < _RESOLVED_SAMPLES:
            return state
        late = 1 if samples > 0 else 0
        if at_first and self.together:
            return _begun_later(state, 1 - late, abs(samples))
        return _put_later(state, late, abs(samples))

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


def _timed(lane: Lane, *, at_first: bool) -> bool:
    """Whether it is known when a lane's samples are due: before the first, as well as it ever will be."""
    known = lane.clock.settled or (at_first and lane.clock.known)
    gone = lane.away or (lane.ended and at_first)
    return known and (bool(lane.waiting) if gone else not lane.ended)


def _with_lane(state: AlignState, wrist: int, lane: Lane) -> AlignState:
    lanes = list(state.lanes)
    lanes[wrist] = lane
    return state._replace(lanes=tuple(lanes))


def _put_later(state: AlignState, wrist: int, samples: int) -> AlignState:
    """Put a band, and its breaks that are still to come, `samples` later."""
    moved = tuple(
        start._replace(first_index=start.first_index + samples)
        if start.side == SIDES[wrist] and start.first_index >= state.emitted
        else start
        for start in state.segments
    )
    lane = _shifted(worn(state, wrist), samples)
    return _with_lane(state, wrist, lane)._replace(segments=moved)


def _begun_later(state: AlignState, wrist: int, samples: int) -> AlignState:
    """Leave out a band's first `samples`, or what has come of them, before anything was emitted."""
    lane = worn(state, wrist)
    left_out = min(samples, lane.samples)
    rest, _, _ = _take(lane, left_out)
    moved = tuple(
        _sooner(start, left_out) if start.side == SIDES[wrist] else start
        for start in state.segments
        if start.side != SIDES[wrist] or start.first_index > left_out
    )
    rest = rest._replace(shift=lane.shift - left_out, begun=False)
    return _with_lane(state, wrist, rest)._replace(segments=moved)


def _sooner(start: SegmentStart, samples: int) -> SegmentStart:
    first = start.first_index - samples
    return start._replace(first_index=first, missing=min(start.missing, first))


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
