"""Parity: does a runtime say what the torch reference says, in numbers and in text?

Most emissions are blank, so whatever is averaged over all of them flatters: a decoder with every key wrong
still agrees on four emissions in five. Agreement and cosine are therefore taken over the emissions that are
not blank on either side, and a reference that says nothing proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.errors import BadInput, QwristError
from edge.files import write_atomically
from edge.manifest import ModelManifest, RuntimeKind
from edge.runtimes import Runtime, open_runtime
from edge.samples import Float32
from export.golden import Golden
from personalize.evaluate import emissions, score_emissions
from personalize.geometry import Geometry
from personalize.labels import Labels
from personalize.model import load_model
from personalize.networks import Network
from personalize.reference import TorchRuntime

FILE_NAME = "parity.json"

# Float32 sums in another order differ by about 1e-5 in log p for these depths (measured: 1.0e-5 to 2.5e-5);
# ten times that is still a hundred times below what moves a decision of a trained decoder.
MAX_DELTA_FLOAT: Final = 1e-4


class ParityFailed(QwristError):
    """An artifact does not say what the reference says."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Agreement(NamedTuple):
    """Two sets of (T, K) emissions compared; NaN where there is nothing to compare."""

    spoken: int  # emissions that are not blank on either side
    max_delta: float  # max |delta log p| over all emissions and classes
    cosine: float  # smallest over spoken emissions, each row's mean removed
    agreement: float  # fraction of spoken emissions with the same best class


class Figures(_Record):
    """One golden recording through one runtime, against the reference."""

    golden: str
    emissions: int
    said_by_reference: int  # keys that the reference decodes
    spoken: int
    max_delta: float
    max_delta_whole: float | None  # against one pass over the whole recording; None for whole-window networks
    cosine: float
    agreement: float
    identical_text: bool
    cer_reference: float | None  # percent; None where it is not known what was typed
    cer_runtime: float | None

    def failures(self) -> tuple[str, ...]:
        """What is wrong, in words; empty for a runtime that agrees."""
        found = []
        if self.said_by_reference == 0:
            found.append("the reference decodes no key, so nothing is proved; use a recording with typing")
        # Negated, so that NaN fails.
        if not self.max_delta <= MAX_DELTA_FLOAT:
            found.append(f"max |delta log p| is {self.max_delta:.2g}, at most {MAX_DELTA_FLOAT:g} is allowed")
        if self.max_delta_whole is not None and not self.max_delta_whole <= MAX_DELTA_FLOAT:
            found.append(
                f"in chunks it departs by {self.max_delta_whole:.2g} from the whole recording at once, "
                f"at most {MAX_DELTA_FLOAT:g} is allowed"
            )
        if not self.identical_text:
            found.append(f"the text differs: {100 * self.agreement:.1f} % of the spoken emissions agree")
        return tuple(f"on {self.golden}: {failure}" for failure in found)


class RuntimeParity(_Record):
    """One artifact's figures over all golden recordings."""

    runtime: RuntimeKind
    sha256: str
    figures: tuple[Figures, ...]

    def failures(self) -> tuple[str, ...]:
        """What is wrong; also that nothing was compared."""
        if not self.figures:
            return ("nothing was compared",)
        return tuple(failure for figures in self.figures for failure in figures.failures())


class ParityReport(_Record):
    """parity.json: what each artifact of a folder was found to say."""

    schema_version: Literal[1] = 1
    network: str
    chunk_frames: int
    max_delta_allowed: float = MAX_DELTA_FLOAT
    runtimes: tuple[RuntimeParity, ...]

    def failures(self) -> tuple[str, ...]:
        """What is wrong, over all runtimes; also that none was run."""
        if not self.runtimes:
            return ("nothing was compared",)
        return tuple(
            f"{parity.runtime} {failure}" for parity in self.runtimes for failure in parity.failures()
        )


class Expectation(NamedTuple):
    """What the reference says of a golden recording."""

    golden: Golden
    chunked: Float32  # (T, K), in the artifact's own chunks
    whole: Float32 | None  # the same in one pass; None for whole-window networks


def expectations(
    network: Network, manifest: ModelManifest, goldens: Iterable[Golden]
) -> tuple[Expectation, ...]:
    """Run the reference once for all runtimes."""
    reference = TorchRuntime(network, manifest.form)
    geometry = Geometry.of_manifest(manifest)
    found = []
    for golden in goldens:
        chunked = emissions(reference, golden.frames, geometry)
        whole = None
        if not manifest.form.whole_window and len(chunked):
            at_once = manifest.form.model_copy(update={"chunk_frames": len(chunked) * manifest.stride})
            whole = emissions(TorchRuntime(network, at_once), golden.frames, geometry)
        found.append(Expectation(golden, chunked, whole))
    return tuple(found)


def compare(reference: Float32, actual: Float32) -> Agreement:
    """Compare (T, K) log-probabilities. Raises ParityFailed for another number of emissions."""
    if reference.shape != actual.shape:
        raise ParityFailed(f"it gives emissions {actual.shape}, the reference gives {reference.shape}")
    blank = CHARSET.blank
    best, other = reference.argmax(-1), actual.argmax(-1)
    spoken = (best != blank) | (other != blank)
    with np.errstate(invalid="ignore"):  # infinities and NaN are compared too, and fail
        max_delta = float(np.abs(reference - actual).max(initial=0.0))
        cosine = _smallest_cosine(reference[spoken], actual[spoken])
    agreement = float((best == other)[spoken].mean()) if spoken.any() else float("nan")
    return Agreement(int(spoken.sum()), max_delta, cosine, agreement)


def _smallest_cosine(a: Float32, b: Float32) -> float:
    if len(a) == 0:
        return float("nan")
    a64, b64 = (x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64) for x in (a, b))
    norms = np.linalg.norm(a64, axis=-1) * np.linalg.norm(b64, axis=-1)
    # A constant row has no direction: it points where nothing else does.
    return float((np.sum(a64 * b64, -1) / np.where(norms > 0, norms, np.inf)).min())


def judge(runtime: Runtime, manifest: ModelManifest, expected: Sequence[Expectation]) -> tuple[Figures, ...]:
    """Run every golden recording through `runtime` and compare it with what is expected."""
    geometry = Geometry.of_manifest(manifest)
    return tuple(
        _figures(
            expectation,
            emissions(runtime, expectation.golden.frames, geometry),
            geometry,
        )
        for expectation in expected
    )


def _figures(expectation: Expectation, actual: Float32, geometry: Geometry) -> Figures:
    golden, reference, whole = expectation
    text = greedy(reference)
    return Figures(
        golden=golden.name,
        emissions=len(actual),
        said_by_reference=len(text),
        max_delta_whole=None if whole is None else compare(whole, actual).max_delta,
        identical_text=text == greedy(actual),
        cer_reference=_cer(golden.labels, reference, geometry),
        cer_runtime=_cer(golden.labels, actual, geometry),
        **compare(reference, actual)._asdict(),
    )


def _cer(labels: Labels | None, log_probs: Float32, geometry: Geometry) -> float | None:
    if labels is None or labels.count == 0:
        return None
    return score_emissions(log_probs, labels, geometry).percent


def check_artifacts(
    folder: Path, goldens: Iterable[Golden], runtimes: Sequence[RuntimeKind] | None = None, threads: int = 1
) -> ParityReport:
    """Compare a folder's artifacts (all that it lists, unless `runtimes` names some) with its network.

    Raises BadInput for artifacts that are missing or damaged; what they say is in the report, good or bad.
    """
    network, manifest = load_model(folder)
    listed = {artifact.runtime: artifact for artifact in manifest.artifacts}
    if not listed:
        raise BadInput(f"{folder} holds no exported model; run: qwrist export")
    expected = expectations(network, manifest, goldens)
    found = []
    for kind in listed if runtimes is None else runtimes:
        figures = judge(open_runtime(folder, listed[kind], threads), manifest, expected)
        found.append(RuntimeParity(runtime=kind, sha256=listed[kind].sha256, figures=figures))
    return ParityReport(
        network=manifest.network, chunk_frames=manifest.form.chunk_frames, runtimes=tuple(found)
    )


def write_report(folder: Path, report: ParityReport) -> None:
    """Write parity.json into `folder`, whole or not at all."""
    write_atomically(folder / FILE_NAME, report.model_dump_json(indent=1).encode())
