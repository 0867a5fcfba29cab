"""Two bands' streams on one grid of samples and one clock.

Each band's samples keep their order and are all emitted. A band whose samples fall due later than its
neighbour's is shifted later: by undelivered (invalid) samples before its first, afterwards, as crystals
drift, by repeating a sample. The grid is never shortened, so nothing is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from edge.samples import ELECTRODES, SIDES, WRISTS, Bool, Float32, SampleChunk, Side
from firmware_bridge.clock import BandClock, ClockState
from firmware_bridge.stream import Segment

CHUNK_SAMPLES: Final = 64  # 32 ms, the pipeline's default step; what has arrived sooner goes sooner
_RESOLVED_SAMPLES: Final = 2  # 1 ms: the clocks resolve no less, and a motor unit lasts 5 to 15 ms


class Lane(NamedTuple):
    """One band's samples that wait for their neighbour."""

    emg_uv: Float32  # (T, E)
    valid: Bool  # (T,)
    held: Float32  # (E,) the last that was emitted
    clock: ClockState
    shift: int = 0  # grid index - band's sample index
    repeated: int = 0  # samples put in to follow the neighbour's crystal
    begun: bool = False  # a sample of this band was emitted
    ended: bool = False


class AlignState(NamedTuple):
    """Both lanes, None for a band that is not worn; how far the grid has got."""

    lanes: tuple[Lane | None, ...]  # by wrist
    emitted: int = 0  # grid index of the next sample
    next_s: float | None = None  # host time of the next sample


@dataclass(frozen=True)
class Aligner:
    """Puts bands on one grid. `push` and `pull` are pure."""

    sides: tuple[Side, ...] = SIDES
    clock: BandClock = field(default_factory=BandClock)
    chunk_samples: int = CHUNK_SAMPLES

    def initial_state(self) -> AlignState:
        """Before the first packet."""
        return AlignState(tuple(_empty_lane() if side in self.sides else None for side in SIDES))

    def begin(self, state: AlignState, wrist: int, index: int) -> AlignState:
        """A band's first sample will be its sample `index`."""
        return _with_lane(state, wrist, _worn(state, wrist)._replace(shift=-index))

    def push(
        self, state: AlignState, wrist: int, segment: Segment, index: int, arrival_s: float
    ) -> AlignState:
        """Take a band's next samples, which end before its sample `index` and arrived at `arrival_s`."""
        lane = _worn(state, wrist)
        return _with_lane(
            state,
            wrist,
            lane._replace(
                emg_uv=np.concatenate([lane.emg_uv, segment.emg_uv]),
                valid=np.concatenate([lane.valid, segment.valid]),
                clock=self.clock.step(lane.clock, index, arrival_s),
            ),
        )

    def end(self, state: AlignState, wrist: int) -> AlignState:
        """Nothing follows on this band: its neighbour no longer waits for it."""
        return _with_lane(state, wrist, _worn(state, wrist)._replace(ended=True))

    def pull(self, state: AlignState) -> tuple[AlignState, SampleChunk | None]:
        """Give what every band has delivered, at most `chunk_samples`; None where one is still awaited.

        The first chunk waits for a second of each band, from which the bands' offset is known.
        """
        worn = [lane for lane in state.lanes if lane is not None]
        if not all(lane.clock.settled or lane.ended for lane in worn):
            return state, None
        state = self._realign(state)
        worn = [lane for lane in state.lanes if lane is not None]
        waiting = [len(lane.valid) for lane in worn if len(lane.valid) or not lane.ended]
        count = min([*waiting, self.chunk_samples]) if waiting else 0
        if count == 0:
            return state, None
        return self._emit(state, count)

    def _realign(self, state: AlignState) -> AlignState:
        left, right = state.lanes
        if left is None or right is None or left.ended or right.ended:
            return state
        later_s = self._due_s(right, state.emitted) - self._due_s(left, state.emitted)
        samples = round(later_s * self.clock.rate_hz)
        if abs(samples) < _RESOLVED_SAMPLES:
            return state
        wrist, lane = (1, right) if samples > 0 else (0, left)
        return _with_lane(state, wrist, _shifted(lane, abs(samples)))

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
        chunk = SampleChunk(state.emitted, time_s, emg_uv, valid)
        return AlignState(tuple(lanes), state.emitted + count, next_s), chunk

    def _times(self, state: AlignState, count: int) -> tuple[float, np.ndarray]:
        """Times that steer to the reference band's clock, never back: between half and twice the rate.

        The reference is the first band that has sent anything; only then is there something to emit.
        """
        reference = next(lane for lane in state.lanes if lane is not None and lane.clock.known)
        start_s = self._due_s(reference, state.emitted) if state.next_s is None else state.next_s
        period_s = 1 / self.clock.rate_hz
        wanted_s = (self._due_s(reference, state.emitted + count) - start_s) / count
        step_s = min(max(wanted_s, 0.5 * period_s), 2 * period_s)
        return start_s + count * step_s, start_s + np.arange(count) * step_s


def _empty_lane() -> Lane:
    return Lane(
        np.zeros((0, ELECTRODES), np.float32),
        np.zeros(0, np.bool_),
        np.zeros(ELECTRODES, np.float32),
        ClockState(),
    )


def _worn(state: AlignState, wrist: int) -> Lane:
    lane = state.lanes[wrist]
    if lane is None:
        raise ValueError(f"the {SIDES[wrist]} band is not one of this source's")
    return lane


def _with_lane(state: AlignState, wrist: int, lane: Lane) -> AlignState:
    lanes = list(state.lanes)
    lanes[wrist] = lane
    return state._replace(lanes=tuple(lanes))


def _shifted(lane: Lane, samples: int) -> Lane:
    """The lane `samples` later: repeats of its last sample, which are real only once there was one."""
    return lane._replace(
        emg_uv=np.concatenate([np.broadcast_to(lane.held, (samples, ELECTRODES)), lane.emg_uv]),
        valid=np.concatenate([np.full(samples, lane.begun), lane.valid]),
        shift=lane.shift + samples,
        repeated=lane.repeated + (samples if lane.begun else 0),
    )


def _take(lane: Lane, count: int) -> tuple[Lane, Float32, Bool]:
    """The next `count` samples; a lane that has ended is padded with missing ones."""
    emg_uv, valid = lane.emg_uv[:count], lane.valid[:count]
    if short := count - len(valid):
        last = emg_uv[-1] if len(emg_uv) else lane.held
        emg_uv = np.concatenate([emg_uv, np.broadcast_to(last, (short, ELECTRODES))])
        valid = np.concatenate([valid, np.zeros(short, np.bool_)])
    rest = lane._replace(
        emg_uv=lane.emg_uv[count:],
        valid=lane.valid[count:],
        held=emg_uv[-1],
        begun=lane.begun or bool(valid.any()),
    )
    return rest, emg_uv, valid
