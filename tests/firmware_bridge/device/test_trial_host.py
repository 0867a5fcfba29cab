"""The host's side of DEVICE-TEST: whatever is lost on the way, what comes back is what was run."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.runtimes import State
from firmware_bridge.control import RefusedRequest, Response, Result
from firmware_bridge.device import trial_host
from firmware_bridge.device import trial_messages as wire
from firmware_bridge.device.errors import DeviceLost, DeviceRefused, NotHeld
from firmware_bridge.device.line import LineDropped, Target
from firmware_bridge.device.tensors import Calls
from firmware_bridge.device.transfer import Patience
from firmware_bridge.device.trial import WINDOW_BYTES, Job, Trial
from firmware_bridge.device.trial_host import TrialHost
from firmware_bridge.device.trial_messages import Begins, Info, Refused
from tests.firmware_bridge.device.making import CALLS, FORM, SHA256, answered, frames

HASTE = Patience(silence_s=0.0, backoff_s=0.0)
Numbers = frozenset[int]
NONE: Numbers = frozenset()


class Plan(NamedTuple):
    """What goes wrong, by the number of the piece or notification."""

    room: int = 512
    lose: Numbers = NONE
    damage: Numbers = NONE
    mute: Numbers = NONE
    spoil: Numbers = NONE  # notifications in which a bit of the last byte flips
    twice: Numbers = NONE  # notifications that are sent again, as after a FETCH that was not needed
    drop: Numbers = NONE
    restart: Numbers = NONE
    slow: int = 0  # how often it says that a chunk is still running


FAULTLESS = Plan()


class FakeDevice:
    """A device on a wire instead of the air: time is how often it is asked."""

    def __init__(self, plan: Plan, held: dict[bytes, Calls], info: Info) -> None:
        self.plan, self.info, self._held = plan, info, held
        self.trial = Trial(held, boot=1)
        self.ran: list[State] = []  # the state before each call
        self.connections = 0
        self._pieces = self._outputs = 0
        self._queue: list[bytes] = []
        self._job: Job | None = None
        self._waited = 0

    name = "fake"

    @asynccontextmanager
    async def open_line(self, *_: object):
        self.connections += 1
        self._queue.clear()
        yield self

    async def read(self, _: str) -> bytes:
        return wire.encode_info(self.info)

    def room(self, _: str) -> int:
        return self.plan.room

    def next_number(self) -> int:
        return 1

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    async def write(self, _: str, value: bytes) -> None:
        number, self._pieces = self._pieces, self._pieces + 1
        if number in self.plan.damage:
            value = value[:-1] + bytes([value[-1] ^ 1])
        if number not in self.plan.lose:
            self._take(wire.decode_piece(value))
        if number in self.plan.restart:
            self.trial, self._job = Trial(self._held, self.trial.boot + 1), None
        if number in self.plan.drop | self.plan.restart:
            raise LineDropped("the link broke")

    def _take(self, piece: wire.Piece) -> None:
        said = self.trial.take(piece)
        if isinstance(said, Job):
            self._job, self._waited = said, 0
        elif said is not None:
            self._tell(said)

    def _tell(self, output: wire.Output) -> None:
        number, self._outputs = self._outputs, self._outputs + 1
        value = wire.encode_output(output)
        if number in self.plan.spoil and isinstance(output, wire.Part):
            value = value[:-1] + bytes([value[-1] ^ 1])
        if number not in self.plan.mute:
            self._queue += [value] * (1 + (number in self.plan.twice))

    async def told(self, _: float) -> bytes | None:
        if self._queue:
            return self._queue.pop(0)
        self._waited += 1
        if self._job is not None and self._waited > self.plan.slow:
            job, self._job = self._job, None
            self.ran.append(job.state)
            refused = self.trial.finished(*answered(job.x, job.state))
            assert refused is None
            self._send(0)
        return self._queue.pop(0) if self._queue else None

    def _send(self, offset: int) -> None:
        for part in self.trial.parts(self.plan.room, offset):
            self._tell(part)

    async def ask(self, request: bytes, _: str) -> Response:
        operation = wire.decode_request(request).operation
        try:
            data = wire.encode_answer(self.trial.operate(operation))
        except RefusedRequest as refused:
            return Response(request[0], request[1], refused.result, b"")
        if isinstance(operation, wire.Fetch):
            self._send(operation.offset)
        return Response(request[0], request[1], Result.OK, data)


def device(
    plan: Plan = FAULTLESS,
    *,
    held: Calls = CALLS,
    window_bytes: int = WINDOW_BYTES,
    version: int = 1,
    max_chunk_bytes: int = 1 << 20,
):
    return FakeDevice(plan, {SHA256: held}, Info(version, 1, window_bytes, max_chunk_bytes, "fake"))


def run(device: FakeDevice, steps: list[Begins], calls: Calls = CALLS, sha256: bytes = SHA256):
    """What the device says of each step, what it should have said, and the host."""

    async def all_steps():
        host = TrialHost(Target(None), sha256, calls, patience=HASTE, new_session=lambda: 9)
        said, expected, state = [], [], FORM.initial_state()
        try:
            for number, begins in enumerate(steps):
                given = b""
                if begins is Begins.INITIAL:
                    state = FORM.initial_state()
                if begins is Begins.GIVEN:
                    state = tuple(np.full_like(array, number) for array in state)
                    given = calls.pack_state(state)
                log_probs, state = answered(frames(number), state)
                said.append(await host.run(begins, given + calls.pack_input(frames(number))))
                expected.append(log_probs.tobytes())
        finally:
            await host.close()
        return said, expected, host

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_host, "open_line", device.open_line)
        return asyncio.run(all_steps())


STEPS = [Begins.INITIAL, Begins.CARRIED, Begins.GIVEN, Begins.CARRIED]
FEW = st.frozensets(
    st.integers(0, 90), max_size=4
)  # a run of STEPS takes some 70 pieces, and results 4 parts
PLANS = st.builds(
    Plan,
    room=st.sampled_from([40, 185, 512]),
    lose=st.frozensets(st.integers(0, 90), max_size=20),
    damage=FEW,
    mute=st.frozensets(st.integers(0, 30), max_size=4),
    spoil=st.frozensets(st.integers(0, 30), max_size=3),
    twice=st.frozensets(st.integers(0, 30), max_size=10),
    drop=st.frozensets(st.integers(0, 90), max_size=3),  # together fewer than HASTE.tries
    restart=st.frozensets(st.integers(0, 90), max_size=2),
    slow=st.integers(0, 3),
)


@given(plan=PLANS, window_bytes=st.sampled_from([8192, 65_536]))
@settings(max_examples=80, deadline=None)
def test_whatever_goes_wrong_every_answer_is_the_local_one(plan: Plan, window_bytes: int) -> None:
    found = device(plan, window_bytes=window_bytes)
    said, expected, host = run(found, STEPS)
    assert said == expected
    assert found.connections == 1 + host.reconnects
    if not host.restarts:
        assert len(found.ran) == len(STEPS), "a chunk was run twice on one state"


def test_without_faults_nothing_is_sent_twice() -> None:
    found = device(Plan(room=512))
    run(found, STEPS)
    size = 512 - wire.PIECE_OVERHEAD_BYTES
    assert (found._pieces, found.connections) == (4 * -(-(CALLS.input_bytes + 4) // size), 1)


def test_after_a_dropped_link_only_the_rest_is_sent() -> None:
    found = device(Plan(drop=frozenset({5})))
    _, _, host = run(found, STEPS[:1])
    size = 512 - wire.PIECE_OVERHEAD_BYTES
    assert (host.reconnects, host.restarts) == (1, 0)
    assert found._pieces == -(-(CALLS.input_bytes + 4) // size)


def test_a_restarted_device_begins_at_the_last_reset() -> None:
    found = device(Plan(restart=frozenset({60})))  # in the fourth step
    said, expected, host = run(found, [Begins.INITIAL, Begins.CARRIED, Begins.INITIAL, Begins.CARRIED])
    assert (said == expected, host.restarts) == (True, 1)
    initial = [bool(np.array_equal(state[0], np.zeros(3))) for state in found.ran]
    assert initial == [True, False, True, True, False], "only what followed the last reset was run again"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (device(Plan(drop=frozenset(range(100)))), "was lost 6 times in a row"),
        (device(Plan(lose=frozenset(range(10_000)))), "says nothing"),
    ],
)
def test_a_device_that_stays_away_is_given_up(found: FakeDevice, sentence: str) -> None:
    with pytest.raises(DeviceLost, match=sentence):
        run(found, STEPS)


def test_a_device_that_restarts_again_and_again_is_given_up() -> None:
    found = device(Plan(restart=frozenset(range(60, 10_000, 40))))  # always in the third chunk since a reset
    with pytest.raises(DeviceLost, match="lost 6 times in a row"):
        run(found, [Begins.INITIAL, *[Begins.CARRIED] * 9])


@pytest.mark.parametrize(("dropped", "ran"), [(16, 2), (5, 1)], ids=["its chunk had arrived", "it had not"])
def test_after_a_failure_nothing_of_it_is_taken_for_the_next_answer(dropped: int, ran: int) -> None:
    found = device(Plan(drop=frozenset({dropped}), slow=1))

    async def fail_then_run() -> tuple[bytes, int]:
        host = TrialHost(Target(None), SHA256, CALLS, patience=HASTE._replace(tries=0))
        with pytest.raises(DeviceLost):
            await host.run(Begins.INITIAL, CALLS.pack_input(frames(0)))
        while found._job is not None:
            await found.told(0.0)
        found.plan = FAULTLESS
        said = await host.run(Begins.INITIAL, CALLS.pack_input(frames(1)))
        await host.close()
        return said, len(found.ran)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_host, "open_line", found.open_line)
        said, found_ran = asyncio.run(fail_then_run())
    assert said == answered(frames(1), FORM.initial_state())[0].tobytes()
    assert found_ran == ran


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (device(Plan(damage=frozenset(range(1000)))), "chunk 0 failed 6 times"),
        (device(version=2), "speaks DEVICE-TEST 2"),
        (device(window_bytes=100), "1024 are the least"),
        (device(Plan(room=11)), "too small an MTU"),
        (device(held=Calls(FORM, rows=2)), "model.json says"),
        (device(max_chunk_bytes=8471), "this artifact takes 8472; export a smaller chunk"),
    ],
)
def test_a_device_that_cannot_is_named(found: FakeDevice, sentence: str) -> None:
    with pytest.raises(DeviceRefused, match=sentence):
        run(found, STEPS)


def test_an_artifact_that_is_not_there_is_named() -> None:
    with pytest.raises(NotHeld, match="does not hold the artifact 000000000000"):
        run(device(), STEPS, sha256=bytes(32))


def test_a_refusal_is_told_with_its_reason() -> None:
    found = device()
    found.trial.finished = lambda *_: None

    async def refuses(_: float) -> bytes:
        return wire.encode_output(Refused(9, 0, wire.Reason.FAILED, "out of memory"))

    found.told = refuses
    with pytest.raises(DeviceRefused, match="chunk 0: FAILED, out of memory"):
        run(found, STEPS[:1])


def test_a_result_that_is_too_long_is_refused() -> None:
    found = device(held=CALLS)
    found.trial.parts = lambda *_: iter([wire.Part(9, 0, 0, bytes(CALLS.result_bytes + 5))])
    with pytest.raises(DeviceRefused, match="1 bytes more than a result has"):
        run(found, STEPS[:1])
