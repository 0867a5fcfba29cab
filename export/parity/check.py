"""Comparing all artifacts of a folder, a model's or a bundle's, with what the desk says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, ParamSpec

import numpy as np

from edge.errors import BadInput, QwristError
from edge.manifest import Artifact, Form, ModelManifest, RuntimeKind, read_manifest
from edge.runtimes import Runtime, load_runtime, open_runtime
from edge.runtimes.process import ProcessRuntime
from export.golden import FOLDER, Cut, Golden, Stored, listen, read_goldens, scenarios
from export.parity.judge import Trace, Verdict, expectations, judge
from export.parity.report import ParityReport, RuntimeParity, StageFigures
from export.parity.stages import Place, StageTrace, front_end_stages, locate, written_stages
from export.parity.thresholds import Thresholds, load_thresholds
from personalize import checkpoint
from personalize.forms import form_of
from personalize.front_end import with_front_end
from personalize.model import load_model
from personalize.networks import Network, streamed
from personalize.spec import NetworkSpec

_P = ParamSpec("_P")

Progress = Callable[[str, int, int], None]
"""Called before each step: what is being done, its number from 0, and how many there are."""


class RuntimeTrace(NamedTuple):
    """The errors of one runtime, emission by emission."""

    runtime: str
    file: str
    trace: Trace


class Proof(NamedTuple):
    """A report, and what it was made from: to be plotted."""

    report: ParityReport
    emissions: tuple[RuntimeTrace, ...]
    stages: tuple[StageTrace, ...]


class Elsewhere(NamedTuple):
    """An artifact of the folder that is run by something else than this computer: a device."""

    artifact: Artifact
    open: Callable[[], AbstractContextManager[Runtime]]


class Case(NamedTuple):
    """All that artifacts are compared with."""

    manifest: ModelManifest
    goldens: tuple[Golden, ...]
    thresholds: Thresholds
    network: Network | None  # None in a bundle, which has no weights for torch


def check_artifacts(
    folder: Path,
    goldens: Sequence[Golden] = (),
    runtimes: Sequence[RuntimeKind] | None = None,
    threads: int = 1,
) -> ParityReport:
    """The report alone, of the artifacts themselves: see `check`."""
    return check(folder, goldens, runtimes=runtimes, threads=threads, onnx=False).report


def check(
    folder: Path,
    goldens: Sequence[Golden] = (),
    *,
    thresholds: Thresholds | None = None,
    runtimes: Sequence[RuntimeKind] | None = None,
    threads: int = 1,
    own_process: bool = False,
    onnx: bool | None = None,
    elsewhere: Sequence[Elsewhere] = (),
    progress: Progress | None = None,
) -> Proof:
    """Compare the artifacts that `folder` lists (or those for `runtimes`) with the reference.

    The reference is the trained network where the folder has it, else what its golden/ says. Without
    `goldens` those of the folder are run, or a rehearsal. `own_process` runs each artifact in a process of
    its own as well; `onnx` the network in ONNX Runtime (default: where that is installed). Where artifacts
    run `elsewhere`, they alone are compared, and what fails there is run here, to tell file from device.
    Raises BadInput for artifacts or goldens that are missing or damaged; what artifacts say is in the report,
    good or bad.
    """
    manifest = read_manifest(folder)
    artifacts = [one for one in manifest.artifacts if runtimes is None or one.runtime in runtimes]
    if not artifacts:
        raise BadInput(f"{folder} holds no exported model; run: qwrist export")
    limits = thresholds or load_thresholds()
    stored = _stored(folder, manifest) if not goldens else ()
    found = tuple(goldens) or tuple(one.golden for one in stored) or _rehearsed(manifest)
    network = load_model(folder)[0] if (folder / checkpoint.FILE_NAME).is_file() else None
    if network is not None:
        found = expectations(network, manifest, found, [artifact.form for artifact in artifacts])
    case = Case(manifest, found, limits, network)
    figures, errors = _front_end(case, stored)
    compared, traces = [], list[RuntimeTrace]()
    jobs = [
        _Job(one.open, one.artifact, None, partial(open_runtime, folder, one.artifact)) for one in elsewhere
    ]
    if not elsewhere:
        jobs += _second_opinions(case, artifacts, onnx=onnx)
        jobs += _of_artifacts(folder, artifacts, threads, own_process=own_process)
    for number, job in enumerate(jobs):
        if progress is not None:
            what = "the network in ONNX Runtime" if job.artifact is None else job.artifact.file
            progress(f"running {what}", number, len(jobs))
        parity, found_traces = job.prove(case)
        compared.append(parity)
        traces += found_traces
    report = ParityReport(
        network=manifest.network,
        simulated=manifest.simulated,
        thresholds=limits,
        stages=tuple(figures),
        runtimes=tuple(compared),
    )
    return Proof(report, tuple(traces), tuple(errors))


def _stored(folder: Path, manifest: ModelManifest) -> tuple[Stored, ...]:
    return read_goldens(folder, manifest) if (folder / FOLDER).is_dir() else ()


def _rehearsed(manifest: ModelManifest) -> tuple[Golden, ...]:
    return tuple(listen(scenario, manifest) for scenario in scenarios())


def _front_end(case: Case, stored: Sequence[Stored]) -> tuple[list[StageFigures], list[StageTrace]]:
    limits = case.thresholds.stages
    figures, traces = front_end_stages(case.goldens, case.manifest, limits)
    for one in stored:
        more, errors = written_stages(one.golden, one.written, limits)
        figures += more
        traces += errors
    return figures, traces


class _Job(NamedTuple):
    """One artifact in one runtime, still to be opened."""

    open: Callable[[], AbstractContextManager[Runtime]]
    artifact: Artifact | None
    kind: RuntimeKind | None
    here: Callable[[], Runtime] | None = None  # the same on this computer, where it runs elsewhere

    def prove(self, case: Case) -> tuple[RuntimeParity, list[RuntimeTrace]]:
        with self.open() as runtime:
            parity, verdict = prove(runtime, self.artifact, case, self.kind, self.here)
        file = parity.file or "network"
        return parity, [RuntimeTrace(runtime.name, file, trace) for trace in verdict.traces]


def _opening(
    opens: Callable[_P, Runtime], *args: _P.args, **kwargs: _P.kwargs
) -> Callable[[], AbstractContextManager[Runtime]]:
    """Opens what needs no closing."""
    return lambda: nullcontext(opens(*args, **kwargs))


def _of_artifacts(
    folder: Path, artifacts: Sequence[Artifact], threads: int, *, own_process: bool
) -> Iterator[_Job]:
    for artifact in artifacts:
        # LiteRT reads what was made for TFLite Micro as well: a second opinion on the same integers.
        kinds: tuple[RuntimeKind, ...] = (
            ("tflm", "litert") if artifact.runtime == "tflm" else (artifact.runtime,)
        )
        for kind in kinds:
            yield _Job(_opening(open_runtime, folder, artifact, threads, kind), artifact, kind)
        if own_process:
            yield _Job(partial(ProcessRuntime, folder, artifact, threads), artifact, None)


def _second_opinions(case: Case, artifacts: Sequence[Artifact], *, onnx: bool | None) -> Iterator[_Job]:
    """The network itself in ONNX Runtime, once for each way that artifacts are cut."""
    wanted = find_spec("onnxruntime") is not None and find_spec("onnx") is not None if onnx is None else onnx
    network = case.network
    if not wanted or network is None:
        return
    for form in {Cut.of(artifact.form): artifact.form for artifact in artifacts}.values():
        yield _Job(_opening(onnx_runtime, network, form), None, None)


def onnx_runtime(network: Network, form: Form) -> Runtime:
    """`network` cut as `form`, on frames and in float32, in ONNX Runtime. Raises MissingExtra without it."""
    from export import onnx

    cut = network if form.whole_window else streamed(network, form.lookahead_frames)
    layers = cut.spec()
    wanted = form_of(
        layers,
        chunk_frames=form.chunk_frames,
        whole_window=form.whole_window,
        lookahead_frames=form.lookahead_frames,
    )
    return onnx.OnnxRuntime(*onnx.lower(layers, wanted))


def spec_of(network: Network, manifest: ModelManifest, form: Form) -> NetworkSpec:
    """`network` as layers, cut and fed as `form` wants it."""
    cut = network if form.whole_window else streamed(network, form.lookahead_frames)
    return with_front_end(cut.spec(), manifest, form)


def prove(
    runtime: Runtime,
    artifact: Artifact | None,
    case: Case,
    kind: RuntimeKind | None = None,
    here: Callable[[], Runtime] | None = None,
) -> tuple[RuntimeParity, Verdict]:
    """Judge one runtime; where it fails, say what departs first, by lowering the network in parts.

    `here` opens the artifact on this computer, where `runtime` is elsewhere.
    """
    verdict = judge(runtime, case.manifest, case.goldens, case.thresholds)
    form = runtime.form
    parity = RuntimeParity(
        runtime=runtime.name,
        file=None if artifact is None else artifact.file,
        sha256=None if artifact is None else artifact.sha256,
        precision=form.precision,
        takes=form.takes,
        chunk_frames=form.chunk_frames,
        lookahead_frames=form.lookahead_frames,
        whole_window=form.whole_window,
        figures=verdict.figures,
        disturbed=verdict.disturbed,
    )
    if verdict.departs and artifact is not None:
        departs = None if here is None else _beyond(here(), case, verdict)
        if departs is None:
            at_hand = runtime if here is None else here()
            departs = _departs(at_hand, kind or artifact.runtime, case, _worst(case.goldens, verdict))
        parity = parity.model_copy(update={"departs": departs})
    return parity, verdict


def _beyond(here: Runtime, case: Case, elsewhere: Verdict) -> str | None:
    """That it is the device which departs; None where this computer does likewise."""
    verdict = judge(here, case.manifest, case.goldens, case.thresholds)
    if verdict.departs:
        return None
    worst = _worst(case.goldens, elsewhere)
    return (
        f"device (the file itself agrees, in {here.name} on this computer; the device departs most at "
        f"emission {worst.emission} of {worst.golden.name})"
    )


def _worst(goldens: Sequence[Golden], verdict: Verdict) -> Place:
    """What departs most of the goldens that fail: of the disturbed, where those do so only together."""
    together = [i for i, golden in enumerate(goldens) if golden.scenario.disturbed]
    largest = [float(trace.delta.max(initial=0.0)) for trace in verdict.traces]
    chosen = max(verdict.faulty or together, key=lambda i: np.nan_to_num(largest[i], nan=np.inf))
    return Place(goldens[chosen], int(np.argmax(verdict.traces[chosen].delta)))


def _departs(runtime: Runtime, kind: RuntimeKind, case: Case, worst: Place) -> str:
    if case.network is None:
        return (
            "network (a bundle holds no weights to compare its layers with: run qwrist parity on the model)"
        )
    from export.artifacts import lower

    def lowering(network: NetworkSpec, form: Form) -> Runtime:
        static = form.precision == "int8_static"
        lowered = (
            lower(network, form, kind, [case.goldens[0].frames]) if static else lower(network, form, kind)
        )
        return load_runtime(lowered.content, lowered.form, kind)

    network = spec_of(case.network, case.manifest, runtime.form)
    try:
        return locate(runtime, network, worst, lowering, case.thresholds.stages)
    except QwristError as error:
        return f"network (its layers could not be lowered one by one: {error})"
