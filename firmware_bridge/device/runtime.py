"""A device as a Runtime: whatever runs artifacts here, parity's whole harness first, runs them there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput
from edge.runtimes import ModelInput, State
from edge.samples import Float32
from firmware_bridge.device.tensors import Calls
from firmware_bridge.device.trial_host import TrialHost
from firmware_bridge.device.trial_messages import Begins

_T = TypeVar("_T")


class HeldState(tuple[npt.NDArray[Any], ...]):
    """A state that lies on a device: it can be carried on from while it is the newest, and not looked at."""

    __slots__ = ()


class LoopThread:
    """An event loop in a thread of its own, for what blocks; a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="qwrist-device", daemon=True)

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, run there; an interruption here cancels it."""
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(_end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class DeviceRuntime:
    """Runs an artifact on the device that `host` talks to.

    State stays on the device: `run` takes the state that it gave last, one of the form's own, or any other
    whose values are known, which travels with the call.
    """

    def __init__(self, host: TrialHost, calls: Calls, name: str, thread: LoopThread) -> None:
        self.name, self.form = name, calls.form
        self._host, self._calls, self._thread = host, calls, thread
        self._newest: HeldState | None = None

    def initial_state(self) -> State:
        """As the form says."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """One call, as Runtime.run. Raises BadInput, DeviceLost, DeviceRefused."""
        inputs = self._calls.pack_input(x)
        begins, given = self._begins(state)
        self._newest = None  # whatever becomes of this call, the state before it is gone
        content = self._thread.call(self._host.run(begins, given + inputs))
        self._newest = HeldState()
        return self._calls.unpack_result(content), self._newest

    def _begins(self, state: State) -> tuple[Begins, bytes]:
        if isinstance(state, HeldState):
            if not self.form.state:
                return Begins.INITIAL, b""  # each call stands alone
            if state is not self._newest:
                raise BadInput(
                    f"{self.name} holds the newest state only, and was given an older one; carry on from the "
                    "newest, or begin with initial_state()"
                )
            return Begins.CARRIED, b""
        given = self._calls.pack_state(state)
        initial = zip(state, self.form.initial_state(), strict=True)
        if all(np.array_equal(found, expected) for found, expected in initial):
            return Begins.INITIAL, b""
        return Begins.GIVEN, given


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
