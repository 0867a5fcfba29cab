"""The time that virtual bands live in: counted in ticks, virtual or the wall's at a speed."""

from __future__ import annotations

import time

from edge.samples import RATE_HZ


class VirtualClock:
    """Seconds for a host, ticks for the bands: a tick is 1/2000 s, and tick 0 is when they are switched on.

    Without a speed time moves only when it is told to; with one it runs at that many times the wall's.
    """

    def __init__(self, start_s: float, speed: float | None) -> None:
        self.speed = speed
        self._start_s = start_s
        self._wall_s = time.monotonic()  # when virtual time was last moved, or at a speed switched on
        self._tick = 0.0
        self._free = False

    def __call__(self) -> float:
        """Now, in seconds."""
        return self.time_s(self.tick())

    def tick(self) -> float:
        """Now, in ticks."""
        if self.speed is not None:
            return (time.monotonic() - self._wall_s) * self.speed * RATE_HZ
        if self._free:
            return self._tick + (time.monotonic() - self._wall_s) * RATE_HZ
        return self._tick

    def time_s(self, tick: float) -> float:
        """When `tick` is, in seconds."""
        return self._start_s + tick / RATE_HZ

    def move_to(self, tick: float) -> None:
        """Let virtual time pass; a moment that is gone changes nothing."""
        self._tick = max(self._tick, tick)

    def set_free(self) -> None:
        """Let time pass by itself from now on: whoever waits in silence must see it."""
        if self.speed is None and not self._free:
            self._free, self._wall_s = True, time.monotonic()
