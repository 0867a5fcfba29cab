"""The parity harness on a device: a good one passes, and a faulty one is told from a faulty file."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import OpenBundle, read_bundle, unpacked
from edge.manifest import Artifact, read_manifest, sha256_of, write_manifest
from edge.runtimes import State, load_runtime
from edge.samples import Float32
from edge.trust import TrustStore
from export import tflite
from export.bundle import writing_bundle
from export.golden import listen, scenarios, write_goldens
from export.parity import Elsewhere, ParityReport, check, expectations
from firmware_bridge.device.connect import Ble, Sim, open_bench
from firmware_bridge.device.trial import Job
from firmware_bridge.device.trial_service import Faults
from firmware_bridge.device.virtual_device import Artifacts
from qwrist.verbs.parity import parse_device
from tests.conftest import Run
from tests.export.toys import talkative
from tests.firmware_bridge.device.test_virtual_device import HASTE

CHUNK = 8
DROPS = Faults(disconnect=frozenset({100, 900, 1201}), lose=frozenset({50, 1034}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrustStore]:
    """A signed bundle of a network that says something, with goldens of typing and of a reset."""
    where = tmp_path_factory.mktemp("device")
    trust = TrustStore(where / "keys")
    network, manifest = talkative("streaming", CHUNK)
    typing, *_, reset = scenarios(typing_s=0.8)
    reset = reset._replace(counts=reset.counts[:1600], valid=reset.valid[:1600], resets=(805,))
    with writing_bundle(where / "bundle", "phone", trust) as inside:
        content, form = tflite.lower(network.spec(), manifest.form)
        (inside / "model.tflite").write_bytes(content)
        artifact = Artifact(
            file="model.tflite",
            runtime="litert",
            sha256=sha256_of(inside / "model.tflite"),
            bytes=len(content),
            form=form,
        )
        write_manifest(inside, manifest.model_copy(update={"artifacts": (artifact,)}))
        heard = [listen(one, manifest) for one in (typing, reset)]
        write_goldens(inside, expectations(network, manifest, heard), read_manifest(inside))
    return where / "bundle", trust


@pytest.fixture(scope="module")
def bundle(made: tuple[Path, TrustStore]) -> OpenBundle:
    return read_bundle(made[0], made[1].trusted())


def on_device(bundle: OpenBundle, faults: Faults | None = None) -> ParityReport:
    model = bundle.model
    with unpacked(bundle) as folder, open_bench(Sim(faults), bundle, HASTE) as bench:
        elsewhere = [Elsewhere(one, partial(bench.runtime, one, model)) for one in bench.held(model)]
        return check(folder, elsewhere=elsewhere).report


def test_a_device_passes_as_the_desk_does_whatever_its_link_does(bundle: OpenBundle) -> None:
    with unpacked(bundle) as folder:
        here = check(folder).report.runtimes[0]
    report = on_device(bundle, DROPS)
    assert report.failures() == ()
    (found,) = report.runtimes
    assert (found.runtime, found.file) == ("virtual device", "model.tflite")
    assert found.figures == here.figures, "bit for bit"


def another_network(_: bytes, artifact: Artifact):
    other = tflite.lower(talkative("streaming", CHUNK, seed=1)[0].spec(), artifact.form).content
    runtime = load_runtime(other, artifact.form, "litert")
    return lambda job: runtime.run(job.x, job.state)


def a_flipped_bias(content: bytes, artifact: Artifact):
    runtime = load_runtime(content, artifact.form, "litert")

    def run(job: Job) -> tuple[Float32, State]:
        log_probs, state = runtime.run(job.x, job.state)
        biased = log_probs + np.float32(4.0) * (np.arange(log_probs.shape[-1]) == 5)
        return biased - np.log(np.exp(biased).sum(-1, keepdims=True)), state

    return run


def a_dropped_chunk(content: bytes, artifact: Artifact):
    runtime = load_runtime(content, artifact.form, "litert")
    calls: list[Float32] = []

    def run(job: Job) -> tuple[Float32, State]:
        log_probs, state = runtime.run(job.x, job.state)
        calls.append(log_probs)
        return (calls[-2], job.state) if len(calls) == 6 else (log_probs, state)

    return run


@pytest.mark.parametrize("fault", [another_network, a_flipped_bias, a_dropped_chunk])
def test_a_faulty_device_is_told_from_a_faulty_file(
    bundle: OpenBundle, monkeypatch: pytest.MonkeyPatch, fault
) -> None:
    (artifact,) = bundle.model.artifacts
    run = fault(bundle.contents[artifact.file], artifact)
    monkeypatch.setattr(Artifacts, "run", lambda _, job: run(job))
    (failed,) = on_device(bundle).runtimes
    assert failed.failures() != ()
    assert failed.departs is not None
    assert failed.departs.startswith("device (the file itself agrees, in LiteRT on this computer")


def test_a_file_that_departs_here_as_well_is_the_files_fault(bundle: OpenBundle, tmp_path: Path) -> None:
    trust = TrustStore(tmp_path / "keys")
    with writing_bundle(tmp_path / "bundle", "phone", trust) as inside:
        for path, content in bundle.contents.items():
            (inside / path).parent.mkdir(parents=True, exist_ok=True)
            (inside / path).write_bytes(content)
        (artifact,) = bundle.model.artifacts
        other = tflite.lower(talkative("streaming", CHUNK, seed=1)[0].spec(), artifact.form).content
        (inside / artifact.file).write_bytes(other)
        changed = artifact.model_copy(
            update={"sha256": sha256_of(inside / artifact.file), "bytes": len(other)}
        )
        write_manifest(inside, bundle.model.model_copy(update={"artifacts": (changed,)}))
    (failed,) = on_device(read_bundle(tmp_path / "bundle", trust.trusted())).runtimes
    assert failed.departs is not None
    assert failed.departs.startswith("network (a bundle holds no weights")


def test_the_command_runs_a_bundle_on_a_device(made: tuple[Path, TrustStore], run: Run, home: Path) -> None:
    folder, trust = made
    home.mkdir(parents=True)
    (home / "keys").symlink_to(trust.root)
    found = run("parity", "--bundle", str(folder), "--device", "sim:", "--json")
    assert found.code == 0, found.err
    report = json.loads(found.out)
    assert report["failures"] == []
    assert [one["runtime"] for one in report["runtimes"]] == ["virtual device"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("ble:", Ble()),
        ("ble:C0:51:57:00:00:0D", Ble("C0:51:57:00:00:0D")),
        ("ble:address=C0:51:57:00:00:0D,pair=yes", Ble("C0:51:57:00:00:0D", pair=True)),
        ("ble:hci=tcp-client:127.0.0.1:9899", Ble(hci="tcp-client:127.0.0.1:9899")),
        ("ble:C0:51,hci=serial:/dev/ttyACM0,1000000", Ble("C0:51", "serial:/dev/ttyACM0,1000000")),
        ("sim:", Sim()),
    ],
)
def test_what_names_a_device(text: str, spec: Ble | Sim) -> None:
    assert parse_device(text) == spec


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--user", "ada", "--device", "sim:"], "name it with --bundle FOLDER"),
        (["--bundle", ".", "--own-process", "--device", "sim:"], "on the device alone"),
        (["--bundle", ".", "--device", "usb:"], "'usb:' is no device"),
        (["--bundle", ".", "--device", ""], "'' is no device"),
        (["--bundle", ".", "--device", "sim:2"], "'sim:2' is no device"),
        (["--bundle", ".", "--device", "ble:codec=raw16"], "knows no 'codec'; it has address, hci and pair"),
        (["--bundle", ".", "--device", "ble:hci="], "hci is ''; expected a name"),
    ],
)
def test_wrong_input_is_one_sentence(run: Run, arguments: list[str], sentence: str) -> None:
    answer = run("parity", *arguments)
    assert answer.code == 2
    assert sentence in " ".join(answer.err.split())
