"""From a stream's timestamps to one gapless grid: which samples are missing, and where.

LSL loses nothing on the way; what is missing was lost between amplifier and computer, and shows as stamps
that leap ahead and stay ahead. Stamps also leap ahead when a chunk was merely late, and come back. So:

- Stamps that have been exact, from the device's own clock, are believed at once.
- Otherwise a leap is a gap if every stamp of the next half second stays ahead by more than such windows
  vary by themselves; until that is known, the samples behind the leap are held back.

The gap is as long as the least of those leads. One that is shorter than the stamps' jitter is not to be told
from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.errors import SourceLost
from edge.samples import RATE_HZ, Float32, Float64
from firmware_bridge.errors import BandRefused
from firmware_bridge.stream import MAX_GAP_SAMPLES

BLOCK: Final = 32  # samples judged at once, 16 ms: the same however the stream was cut
WINDOW: Final = 1000  # samples, 0.5 s: a radio's bad moment is over by then
_START: Final = 4 * WINDOW  # what is looked at before the first sample is given
_WINDOWS: Final = 20  # 10 s: what the stamps' jitter is taken from
_RECENT: Final = 3  # windows whose least stamps are the line; it is 2 s old at most
_CRYSTAL: Final = 1e-4  # what an amplifier's rate may be off
_LINE_LAGS_S: Final = 0.0002  # of two seconds, by such a rate
_EXACT_SAMPLES: Final = 0.75  # more than a line that lags is off, less than one missing sample
# Least delays are distributed exponentially: one in 7000 windows, an hour, exceeds 12 median differences.
_SPREADS: Final = 12.0
_LEAST_S: Final = 0.005  # of stamps that jitter: no motor unit is shorter
_MOST_S: Final = 0.1  # a jitter that hides longer gaps than this is taken for gaps
_UNKNOWN_S: Final = 0.02  # while too few windows have told of the jitter
_LAG: Final = WINDOW  # pairs of stamps so far apart give the rate
_RATE_TOLERANCE: Final = 0.01  # the nearest rates that amplifiers have are 1926 (3.7 %) and 2048 Hz (2.4 %)


class Piece(NamedTuple):
    """Samples that follow on those before."""

    missing: int  # just before them
    uncertain: int  # by how many `missing` may be wrong
    values: Float32  # (T, C)
    next_s: float  # when the sample after the last is due, by the stamp of these that was least late


class Stamped(NamedTuple):
    """Samples and their stamps."""

    time_s: Float64  # (T,)
    values: Float32  # (T, C)

    def part(self, start: int, stop: int | None = None) -> Stamped:
        """Some of them."""
        return Stamped(self.time_s[start:stop], self.values[start:stop])


class Window(NamedTuple):
    """Half a second of accepted stamps."""

    least_s: float  # stamp - index / rate
    most_s: float


class GridState(NamedTuple):
    """How far the grid has got, what waits, and how the stamps have behaved."""

    waiting: Stamped  # not yet a block; before the start, not yet enough
    held: Stamped  # behind a leap
    next_index: int = 0
    windows: tuple[Window, ...] = ()
    open: Window | None = None  # the window that is being filled
    begun: bool = False


@dataclass(frozen=True)
class Grid:
    """Counts a stream's samples, missing ones included. `step` and `finish` are pure."""

    rate_hz: float = RATE_HZ

    def initial_state(self, channels: int) -> GridState:
        """Before the first sample."""
        nothing = Stamped(np.zeros(0), np.zeros((0, channels), np.float32))
        return GridState(nothing, nothing)

    def step(self, state: GridState, new: Stamped) -> tuple[GridState, list[Piece]]:
        """Take the next samples, give those whose place is known.

        Raises BandRefused where the stamps tell another rate, SourceLost for a gap too long to bridge.
        """
        state = state._replace(waiting=_join(state.waiting, new))
        if not state.begun:
            if len(state.waiting.time_s) < _START:
                return state, []
            self._check_rate(state.waiting.time_s)
            state = _begun(state, self._offset_s(state, state.waiting.part(0, WINDOW)))
        pieces: list[Piece] = []
        whole = len(state.waiting.time_s) // BLOCK * BLOCK
        blocks, state = state.waiting.part(0, whole), state._replace(waiting=state.waiting.part(whole))
        for at in range(0, whole, BLOCK):
            state, found = self._judge(state, blocks.part(at, at + BLOCK))
            pieces += found
        return state, pieces

    def finish(self, state: GridState) -> tuple[GridState, list[Piece]]:
        """Give what is left: nothing follows."""
        rest, state = state.waiting, state._replace(waiting=state.waiting.part(0, 0))
        pieces: list[Piece] = []
        if len(rest.time_s):
            if not state.begun:
                state = _begun(state, self._offset_s(state, rest))
            state, pieces = self._judge(state, rest)
        if len(state.held.time_s):  # a leap that nothing followed: without proof it was a delay
            state, last = self._accept(state, state.held, 0)
            pieces.append(last)
        return state._replace(held=rest.part(0, 0)), pieces

    def _check_rate(self, time_s: Float64) -> None:
        period_s = float(np.median(time_s[_LAG:] - time_s[:-_LAG])) / _LAG
        if not abs(period_s * self.rate_hz - 1) < _RATE_TOLERANCE:
            measured = f"{1 / period_s:.0f} samples a second" if period_s > 0 else "samples of one moment"
            raise BandRefused(
                f"the LSL stream says {self.rate_hz:g} Hz, its timestamps {measured}; "
                "set the rate in the amplifier's program, or give lsl:stamps=arrival if its stamps are wrong"
            )

    def _judge(self, state: GridState, block: Stamped) -> tuple[GridState, list[Piece]]:
        held = _join(state.held, block)
        punctual = np.flatnonzero(self._late_s(state, held) <= self._limit_s(state))
        if len(punctual) == 0:
            on_time = 0
        elif len(state.held.time_s):  # one that is back in time takes all before it along
            on_time = len(held.time_s)
        else:
            on_time = int(punctual[-1]) + 1
        pieces: list[Piece] = []
        if on_time:
            state, piece = self._accept(state, held.part(0, on_time), 0)
            pieces.append(piece)
        state = state._replace(held=held.part(on_time))
        if len(state.held.time_s) >= (BLOCK if self._exact(state) else WINDOW):
            state, piece = self._declare(state)
            pieces.append(piece)
        return state, pieces

    def _declare(self, state: GridState) -> tuple[GridState, Piece]:
        missing = max(0, round(float(self._late_s(state, state.held).min()) * self.rate_hz))
        if missing > MAX_GAP_SAMPLES:
            raise SourceLost(
                f"{missing / self.rate_hz:.0f} s of the LSL stream are missing, and "
                f"{MAX_GAP_SAMPLES / RATE_HZ:.0f} s are the most that is bridged; see to the amplifier"
            )
        state = state._replace(next_index=state.next_index + missing)
        state, piece = self._accept(state, state.held, missing)
        return state._replace(held=state.held.part(0, 0)), piece

    def _accept(self, state: GridState, part: Stamped, missing: int) -> tuple[GridState, Piece]:
        offset_s = self._offset_s(state, part)
        least, most = float(offset_s.min()), float(offset_s.max())
        end = state.next_index + len(part.time_s)
        filling = state.open or Window(least, most)
        filling = Window(min(filling.least_s, least), max(filling.most_s, most))
        windows = state.windows
        full = end // WINDOW > state.next_index // WINDOW
        after = state._replace(
            next_index=end,
            windows=(*windows, filling)[-_WINDOWS:] if full else windows,
            open=None if full else filling,
        )
        return after, Piece(missing, self._doubt(state, missing), part.values, least + end / self.rate_hz)

    def _doubt(self, state: GridState, missing: int) -> int:
        """By how many samples `missing` may be wrong."""
        if missing == 0:
            return 0
        if self._exact(state):
            return int(_LINE_LAGS_S * self.rate_hz + missing * _CRYSTAL + 0.5)
        return round(self._limit_s(state) * self.rate_hz)

    def _offset_s(self, state: GridState, part: Stamped) -> Float64:
        offset_s: Float64 = part.time_s - (state.next_index + np.arange(len(part.time_s))) / self.rate_hz
        return offset_s

    def _late_s(self, state: GridState, part: Stamped) -> Float64:
        """(T,) how far each stamp is ahead of the line, were no sample missing."""
        recent = state.windows[-_RECENT:]
        line_s = float(np.median([window.least_s for window in recent])) if recent else _least(state)
        return self._offset_s(state, part) - line_s

    def _limit_s(self, state: GridState) -> float:
        """How late a whole window may be without a sample missing."""
        if self._exact(state):
            return _EXACT_SAMPLES / self.rate_hz
        if len(state.windows) <= _RECENT:
            return _UNKNOWN_S
        steps = np.diff([window.least_s for window in state.windows])
        spread_s = float(np.median(np.abs(steps - np.median(steps))))
        return min(max(_LEAST_S, _SPREADS * spread_s), _MOST_S)

    def _exact(self, state: GridState) -> bool:
        """Whether no stamp of the last seconds was late."""
        spans = [window.most_s - window.least_s for window in state.windows]
        return len(spans) > _RECENT and max(spans) < _EXACT_SAMPLES / self.rate_hz


def _begun(state: GridState, first_offset_s: Float64) -> GridState:
    """The least late of the first stamps is the line to begin with."""
    least_s = float(first_offset_s.min())
    return state._replace(begun=True, open=Window(least_s, least_s))


def _least(state: GridState) -> float:
    return 0.0 if state.open is None else state.open.least_s


def _join(one: Stamped, other: Stamped) -> Stamped:
    if len(one.time_s) == 0:
        return other
    return Stamped(np.concatenate([one.time_s, other.time_s]), np.concatenate([one.values, other.values]))
