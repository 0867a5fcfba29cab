"""One stream of the lab network on its way in: found, opened, and pulled by a thread of its own."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from edge.errors import QwristError, SourceLost
from edge.extras import require
from edge.samples import RATE_HZ, Float64
from firmware_bridge.errors import BandNotFound, BandRefused
from firmware_bridge.lsl.description import CONTENT_TYPE, describe
from firmware_bridge.lsl.grid import Stamped

if TYPE_CHECKING:
    import pylsl

Clock = Callable[[], float]

_PULL_S: Final = 0.016  # a pull waits so long for more: 60 wake-ups a second, and half a chunk of delay
_PULL_SAMPLES: Final = 1024  # at most at once
_QUEUE_PULLS: Final = 64  # then they wait in liblsl
_BUFFER_S: Final = 20  # in liblsl; what overflows there leaps in the stamps and is declared missing
_LOOK_S: Final = 1.0  # liblsl asks known peers after 0.5 s; outlets answer within tenths of a second
_FOREIGN_S: Final = 3600.0  # stamps further off were never of LSL's clock: Unix time, or counted from a start
_CORRECT_EVERY_S: Final = 2.0  # as often as liblsl renews its estimate of a sender's clock
_BRACKETS: Final = 20  # readings of two clocks, of which the quickest counts: it was not interrupted
_CONFIG: Final = "LSLAPICFG"  # where liblsl looks for a configuration, and where else
_CONFIGS: Final = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
_QUIET: Final = "[log]\nlevel = -1\n"  # warnings; by itself it tells its version, and each stream it opens
_PORTS: Final = "ports 16571 to 16604"  # liblsl's: 16571 to ask, then two for each of 16 outlets


def load() -> Any:  # noqa: ANN401 - a module
    """pylsl, which tells warnings and errors only. Raises MissingExtra.

    liblsl looks for a configuration once, when it is first used; one of the user's own stays in force.
    """
    pylsl = require("pylsl", "lsl")
    with suppress(NotImplementedError):  # a liblsl of the system's may be older than 1.17.7
        if _CONFIG not in os.environ and not any(Path(each).expanduser().exists() for each in _CONFIGS):
            pylsl.set_config_content(_QUIET)
    return pylsl


def host_offset_s(clock: Clock) -> float:
    """What to add to LSL's local clock to have `clock`; both must run on."""
    import pylsl

    def bracket() -> tuple[float, float]:
        before = clock()
        lsl = pylsl.local_clock()
        after = clock()
        return after - before, (before + after) / 2 - lsl

    return min(bracket() for _ in range(_BRACKETS))[1]


async def find(names: Sequence[str | None], timeout_s: float) -> list[pylsl.StreamInfo]:
    """One stream for each name; None is the only EMG stream there is. Raises BandNotFound."""
    import pylsl

    deadline_s = time.monotonic() + timeout_s
    while True:  # an outlet answers when it is asked, not when it starts
        heard = await asyncio.to_thread(pylsl.resolve_streams, min(_LOOK_S, timeout_s))
        heard = list({info.uid(): info for info in heard}.values())  # once for each network they share
        try:
            return [_only_one(name, heard) for name in names]
        except BandNotFound:
            if time.monotonic() > deadline_s:
                raise


def _only_one(name: str | None, heard: Sequence[pylsl.StreamInfo]) -> pylsl.StreamInfo:
    wanted = f"named {name!r}" if name is not None else f"of type {CONTENT_TYPE}"
    fits = [i for i in heard if (i.name() == name if name is not None else i.type() == CONTENT_TYPE)]
    if len(fits) == 1:
        return fits[0]
    there = ", ".join(sorted(str(describe(info)) for info in heard)) or "none"
    if fits:
        raise BandNotFound(
            f"{len(fits)} LSL streams {wanted} are on the network; end all but one, or give them names and "
            f"say which, as in lsl:NAME. On the network: {there}"
        )
    raise BandNotFound(
        f"no LSL stream {wanted} is on the network; start it in the amplifier's program, on this network, "
        f"and let the firewall pass UDP and TCP {_PORTS}. On the network: {there}"
    )


class Inlet:
    """An open stream. `start` begins to pull; `take` gives what has come, stamped in the host's seconds.

    Only its own thread touches liblsl's inlet once it has started.
    """

    def __init__(
        self, inlet: pylsl.StreamInlet, info: pylsl.StreamInfo, clock: Clock, *, by_arrival: bool
    ) -> None:
        self.info = info
        self.name: str = info.name()
        self.lost: QwristError | None = None  # why nothing more will come
        self._inlet = inlet
        self._by_arrival = by_arrival
        self._host_offset_s = host_offset_s(clock)
        self._correction_s = 0.0
        self._corrected_s = -math.inf
        self._heard_s = time.monotonic()
        self._queue: deque[Stamped] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pull, name=f"LSL {self.name}", daemon=True)
        self._wake: Callable[[], object] = lambda: None

    def start(self, wake: Callable[[], None]) -> None:
        """Pull from now on; `wake` is called in the present event loop when there is something to take."""
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(wake)
        self._heard_s = time.monotonic()
        self._thread.start()

    def take(self) -> list[Stamped]:
        """What has come since the last call."""
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def silent_s(self) -> float:
        """Since when nothing has come."""
        return time.monotonic() - self._heard_s

    def stop(self) -> None:
        """Pull no more; returns when the thread has ended, after one pull at most."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _pull(self) -> None:
        from pylsl.util import LostError

        try:
            while not self._stop.is_set():
                if len(self._queue) >= _QUEUE_PULLS:
                    self._stop.wait(_PULL_S)
                    continue
                values, stamps = self._inlet.pull_chunk(_PULL_S, _PULL_SAMPLES, as_numpy=True)
                if len(stamps):
                    self._take_in(values, stamps)
                    self._wake()
        except LostError:
            self.lost = SourceLost(
                f"the LSL stream {self.name!r} has ended; start it again in the amplifier's program"
            )
            self._wake()
        except QwristError as refusal:
            self.lost = refusal
            self._wake()

    def _take_in(self, values: npt.NDArray[np.generic], stamps: Float64) -> None:
        self._heard_s = time.monotonic()
        lsl_s = self._arrival_s(len(stamps)) if self._by_arrival else self._stamp_s(stamps)
        self._queue.append(Stamped(lsl_s + self._host_offset_s, values.astype(np.float32)))

    def _arrival_s(self, count: int) -> Float64:
        """What would have been stamped by whoever has no clock but ours."""
        import pylsl

        times: Float64 = pylsl.local_clock() + np.arange(1 - count, 1) / RATE_HZ
        return times

    def _stamp_s(self, stamps: Float64) -> Float64:
        """The sender's stamps on this machine's LSL clock. Raises BandRefused where they never were LSL's."""
        import pylsl
        from pylsl.util import TimeoutError as NoAnswer

        if self._heard_s - self._corrected_s >= _CORRECT_EVERY_S:
            with suppress(NoAnswer):  # the estimate before still holds
                self._correction_s = self._inlet.time_correction(timeout=_PULL_S)
            self._corrected_s = self._heard_s
        corrected: Float64 = stamps + self._correction_s
        off_s = float(corrected[-1]) - pylsl.local_clock()
        if not abs(off_s) < _FOREIGN_S:
            raise BandRefused(
                f"the LSL stream {self.name!r} stamps its samples {off_s:.0f} s off LSL's clock; have its "
                "program use LSL's clock, or give lsl:stamps=arrival to time samples by their arrival"
            )
        return corrected


@asynccontextmanager
async def open_inlet(
    found: pylsl.StreamInfo, clock: Clock, *, by_arrival: bool, timeout_s: float
) -> AsyncIterator[Inlet]:
    """The stream, subscribed to, until the context ends. Raises SourceLost, BandRefused."""
    inlet, info = await asyncio.to_thread(_subscribe, found, timeout_s, by_arrival=by_arrival)
    opened = Inlet(inlet, info, clock, by_arrival=by_arrival)
    try:
        yield opened
    finally:
        await asyncio.to_thread(opened.stop)


def _subscribe(
    found: pylsl.StreamInfo, timeout_s: float, *, by_arrival: bool
) -> tuple[pylsl.StreamInlet, pylsl.StreamInfo]:
    import pylsl
    from pylsl.util import LostError
    from pylsl.util import TimeoutError as NoAnswer

    what = f"the LSL stream {found.name()!r} of {found.hostname()}"
    inlet = pylsl.StreamInlet(found, max_buflen=_BUFFER_S, recover=True)
    try:
        info = inlet.info(timeout_s)
        inlet.open_stream(timeout_s)
    except (NoAnswer, LostError):
        raise SourceLost(
            f"{what} was found and does not answer; let the firewalls of both computers pass TCP {_PORTS}"
        ) from None
    if not by_arrival:
        try:
            inlet.time_correction(timeout_s)
        except (NoAnswer, LostError):
            raise SourceLost(
                f"{what} does not tell its clock; let the firewalls of both computers pass UDP {_PORTS}, or "
                "give lsl:stamps=arrival to time samples by their arrival"
            ) from None
    return inlet, info
