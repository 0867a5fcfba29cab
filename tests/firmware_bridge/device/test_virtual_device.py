"""A virtual device over a real GATT stack: it runs the bundle's own artifacts, whatever the link does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import count

import numpy as np
import pytest

from edge.bundle import OpenBundle
from edge.errors import BadInput
from edge.highpass import HighPass
from edge.manifest import Artifact
from edge.pipeline import Pipeline
from edge.runtimes import ModelInput, Runtime, State
from edge.samples import Float32
from firmware_bridge.device.connect import Ble, Sim, open_bench
from firmware_bridge.device.decode_host import DecodeSource, Restarted
from firmware_bridge.device.decode_messages import Mode, Precision
from firmware_bridge.device.decoding import Lost, Missing, Said, Typed
from firmware_bridge.device.errors import DeviceNotFound, DeviceRefused, NotHeld
from firmware_bridge.device.line import TRIAL, Target, open_line
from firmware_bridge.device.runtime import HeldState, LoopThread
from firmware_bridge.device.transfer import Patience
from firmware_bridge.device.trial import Job
from firmware_bridge.device.trial_service import Faults
from firmware_bridge.device.virtual_device import Artifacts, virtual_device
from firmware_bridge.virtual_air import VirtualAir
from firmware_bridge.virtual_listener import listening
from tests.export.phone.making import recording
from tests.firmware_bridge.device.making import bundle_of_two
from tests.firmware_bridge.sources import ArraySource

HASTE = Patience(silence_s=0.05, backoff_s=0.01)
CALLS = 6
WORST = Faults(
    lose=frozenset({3, 40, 41}),
    damage=frozenset({70}),
    mute=frozenset({1, 6}),
    disconnect=frozenset({20, 110}),
    restart=frozenset({90}),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> OpenBundle:
    return bundle_of_two(tmp_path_factory.mktemp("bundle"))


def inputs(artifact: Artifact) -> list[ModelInput]:
    heard, form = recording(), artifact.form
    if form.takes == "frames":
        return [heard.frames[4 * i : 4 * i + 4] for i in range(CALLS)]
    counts = np.rint(heard.emg_uv / 0.2).astype(np.int16)
    worn = np.ones((4, 2), np.float32)
    return [(counts[64 * i : 64 * i + form.input_samples], worn) for i in range(CALLS)]


def first_state(runtime: Runtime) -> State:
    """As parity begins: the filter of an artifact of samples rests at the first one."""
    state = runtime.initial_state()
    if runtime.form.takes == "frames":
        return state
    at_rest = HighPass().initial_state(recording().emg_uv[0]).s.astype(np.float32)
    return at_rest, *state[1:]


def over(runtime: Runtime, given: list[ModelInput]) -> list[Float32]:
    said, state = [], first_state(runtime)
    for x in given:
        log_probs, state = runtime.run(x, state)
        said.append(log_probs)
    return said


@pytest.mark.parametrize("number", [0, 1], ids=["frames", "samples_int16"])
@pytest.mark.parametrize("faults", [None, WORST], ids=["a good link", "the worst link"])
def test_the_device_says_bit_for_bit_what_the_artifact_says_here(
    bundle: OpenBundle, number: int, faults: Faults | None
) -> None:
    artifact = bundle.model.artifacts[number]
    expected = over(bundle.runtime(artifact), inputs(artifact))
    with (
        open_bench(Sim(faults), bundle, HASTE) as bench,
        bench.runtime(artifact, bundle.model) as runtime,
    ):
        assert (runtime.name, runtime.form) == ("virtual device", artifact.form)
        for found, local in zip(over(runtime, inputs(artifact)), expected, strict=True):
            np.testing.assert_array_equal(found, local)
        host = runtime._host
        if faults is None:
            assert (host.reconnects, host.restarts) == (0, 0)
        elif number == 0:
            assert (host.reconnects, host.restarts) == (3, 1)


def test_only_the_newest_state_is_carried_on_from(bundle: OpenBundle) -> None:
    artifact = bundle.model.artifacts[0]
    first, second, *_ = inputs(artifact)
    with open_bench(Sim(), bundle, HASTE) as bench, bench.runtime(artifact, bundle.model) as runtime:
        expected, old = runtime.run(first, runtime.initial_state())
        assert isinstance(old, HeldState)
        runtime.run(second, old)
        with pytest.raises(BadInput, match="holds the newest state only"):
            runtime.run(second, old)
        again, _ = runtime.run(first, runtime.initial_state())
        np.testing.assert_array_equal(again, expected)
        with pytest.raises(BadInput, match="a call of this artifact is"):
            runtime.run(first[:1], runtime.initial_state())
        given = tuple(array + np.float32(0.5) for array in runtime.initial_state())
        np.testing.assert_array_equal(
            runtime.run(first, given)[0], bundle.runtime(artifact).run(first, given)[0]
        )


def test_it_holds_what_the_bundle_holds(bundle: OpenBundle) -> None:
    other = bundle.model.artifacts[0].model_copy(update={"sha256": "0" * 64})
    with open_bench(Sim(), bundle, HASTE) as bench:
        assert bench.held(bundle.model) == list(bundle.model.artifacts)
        with (
            pytest.raises(NotHeld, match="does not hold the artifact 000000000000"),
            bench.runtime(other, bundle.model),
        ):
            pass
        with pytest.raises(DeviceRefused, match=r"holds no artifact of this bundle \(model_0.tflite\)"):
            bench.held(bundle.model.model_copy(update={"artifacts": (other,)}))


def test_a_runtime_that_falls_over_is_told_and_may_be_tried_again(
    bundle: OpenBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = Artifacts.run, count()

    def fails_once(artifacts: Artifacts, job: Job) -> tuple[Float32, State]:
        if next(calls) == 1:
            raise BadInput("no memory left")
        return run(artifacts, job)

    monkeypatch.setattr(Artifacts, "run", fails_once)
    artifact = bundle.model.artifacts[0]
    first, second, *_ = inputs(artifact)
    with open_bench(Sim(), bundle, HASTE) as bench, bench.runtime(artifact, bundle.model) as runtime:
        _, state = runtime.run(first, runtime.initial_state())
        with pytest.raises(DeviceRefused, match="refuses chunk 1: FAILED, no memory left"):
            runtime.run(second, state)
        with pytest.raises(BadInput, match="holds the newest state only"):
            runtime.run(second, state)
        said, _ = runtime.run(first, runtime.initial_state())
    np.testing.assert_array_equal(said, bundle.runtime(artifact).run(first, artifact.form.initial_state())[0])


def test_a_device_is_found_by_its_service(bundle: OpenBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    from firmware_bridge.device import line

    monkeypatch.setattr(line, "SCAN_S", 0.3)

    async def found(address: str | None) -> str:
        async with virtual_device(bundle) as device:
            return (await line.find(Target(address, device.backend))).address

    assert asyncio.run(found(None)) == "C0:51:57:00:00:0D"
    assert asyncio.run(found("c0:51:57:00:00:0d")) == "C0:51:57:00:00:0D"
    with pytest.raises(DeviceNotFound, match="no device 00:11 was heard"):
        asyncio.run(found("00:11"))


def test_a_host_that_is_told_to_pair_does(bundle: OpenBundle) -> None:
    async def encrypted(*, pair: bool) -> bool:
        async with virtual_device(bundle) as device:
            target = device.target._replace(pair=pair)
            async with open_line(target, TRIAL):
                (connection,) = device.backend.client.device.connections.values()
                return connection.is_encrypted

    assert asyncio.run(encrypted(pair=True))
    assert not asyncio.run(encrypted(pair=False))


@pytest.fixture
def served(bundle: OpenBundle) -> Iterator[str]:
    """Where processes of this computer reach a device that holds the bundle: a controller's name."""

    @asynccontextmanager
    async def on_air() -> AsyncIterator[int]:
        air = VirtualAir()
        async with virtual_device(bundle, air=air), listening(air, "127.0.0.1", 0) as port:
            yield port

    with LoopThread() as thread:
        serving = on_air()
        yield f"tcp-client:127.0.0.1:{thread.call(serving.__aenter__())}"
        thread.call(serving.__aexit__(None, None, None))


@pytest.mark.parametrize("address", [None, "C0:51:57:00:00:0D"])
def test_a_device_is_reached_through_a_controller_of_ones_own(
    bundle: OpenBundle, served: str, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firmware_bridge.device import line

    monkeypatch.setattr(line, "SCAN_S", 0.5)
    artifact = bundle.model.artifacts[0]
    with open_bench(Ble(address, hci=served), bundle, HASTE) as bench:
        assert bench.held(bundle.model) == list(bundle.model.artifacts)
        with bench.runtime(artifact, bundle.model) as runtime:
            said, _ = runtime.run(inputs(artifact)[0], runtime.initial_state())
    here, _ = bundle.runtime(artifact).run(inputs(artifact)[0], artifact.form.initial_state())
    np.testing.assert_array_equal(said, here)


def heard(
    bundle: OpenBundle, mode: Mode, precision: Precision = Precision.FLOAT32, *, stop: int = 10**9, **options
):
    """The events of a device that decodes a recording; the host leaves after `stop` and comes back."""

    async def all_events():
        source = ArraySource(recording().emg_uv, chunk=300)
        async with virtual_device(bundle, source=source, **options) as device:
            decoding = DecodeSource(device.target, mode, precision)
            events = []
            async with aclosing(decoding.events()) as stream:
                async for event in stream:
                    events.append(event)
                    if len(events) == stop:
                        break
            async for event in decoding.events():
                events.append(event)
            return events, decoding.model

    return asyncio.run(all_events())


def local(bundle: OpenBundle):
    """What the same pipeline says here: emissions, and the text that is left standing."""
    from edge.edits import text_of

    artifact = bundle.model.desk_artifact("litert")
    assert artifact is not None
    runtime = bundle.runtime(artifact)
    said: list[Float32] = []

    class Overheard:
        name, form = runtime.name, runtime.form

        def initial_state(self) -> State:
            return runtime.initial_state()

        def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
            log_probs, after = runtime.run(x, state)
            said.append(log_probs)
            return log_probs, after

    async def decode():
        pipeline = Pipeline(bundle.model, Overheard())
        state, keys = pipeline.initial_state(), []
        async for chunk in ArraySource(recording().emg_uv, chunk=300).chunks():
            state, more = pipeline.step(state, chunk)
            keys += more
        return text_of([key.label for key in keys])

    text = asyncio.run(decode())
    return np.concatenate(said), text


def typed(events) -> str:
    text = ""
    for event in events:
        if isinstance(event, Typed):
            text = event.edit.apply(text)
    return text


def test_emissions_and_text_are_those_of_the_pipeline_here(bundle: OpenBundle) -> None:
    emissions, text = local(bundle)
    events, model = heard(bundle, Mode.BOTH)
    assert not [event for event in events if isinstance(event, (Lost, Missing, Restarted))]
    np.testing.assert_array_equal(
        np.concatenate([event.log_probs for event in events if isinstance(event, Said)]), emissions
    )
    assert typed(events) == text != ""
    assert (model.user, model.counter, model.chunk_frames) == ("ada", 1, 4)
    assert model.model_sha256.hex() == bundle.manifest.files["model.json"].sha256


def test_whoever_leaves_and_comes_back_is_told_what_it_missed(bundle: OpenBundle) -> None:
    emissions, _ = local(bundle)
    following = 0
    for event in heard(bundle, Mode.EMISSIONS, stop=3)[0]:
        match event:
            case Said(first, log_probs):
                assert first == following
                np.testing.assert_array_equal(log_probs, emissions[first : first + len(log_probs)])
                following += len(log_probs)
            case Missing(first, missing):
                assert first == following
                following += missing
            case Restarted():
                pytest.fail("it did not restart")
    assert following == len(emissions)


def test_text_alone_and_half_precision(bundle: OpenBundle) -> None:
    emissions, text = local(bundle)
    events, _ = heard(bundle, Mode.TEXT)
    assert {type(event) for event in events} == {Typed}
    assert typed(events) == text
    events, _ = heard(bundle, Mode.EMISSIONS, Precision.FLOAT16, mtu=100)
    np.testing.assert_array_equal(
        np.concatenate([event.log_probs for event in events]),
        emissions.astype(np.float16).astype(np.float32),
    )


def test_lost_notifications_are_declared(bundle: OpenBundle) -> None:
    emissions, _ = local(bundle)
    events, _ = heard(bundle, Mode.EMISSIONS, lose=frozenset({2, 7, 8}))
    assert sum(event.notifications for event in events if isinstance(event, Lost)) == 3
    said = sum(len(event.log_probs) for event in events if isinstance(event, Said))
    missing = sum(event.emissions for event in events if isinstance(event, Missing))
    assert (missing > 0, said + missing) == (True, len(emissions))


def test_a_device_without_samples_refuses_to_decode(bundle: OpenBundle) -> None:
    async def start():
        async with virtual_device(bundle) as device:
            async for _ in DecodeSource(device.target).events():
                pass

    with pytest.raises(DeviceRefused, match="answers START with NOT_NOW"):
        asyncio.run(start())
