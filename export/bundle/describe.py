"""A bundle in facts: for people, and as JSON."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from edge.bundle import OpenBundle, Target, VersionRange
from edge.features import FRAME_RATE_HZ, HOP, N_FFT
from edge.manifest import Artifact, Form, ModelManifest
from export.bundle.figures import Compared, read_reports

_MS: Final = 1000 / FRAME_RATE_HZ  # a frame


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class ArtifactFacts(_Record):
    """One exported file."""

    file: str
    runtime: str
    precision: str
    takes: str
    chunk_ms: float
    lookahead_ms: float
    whole_window: bool
    bytes: int
    state_bytes: int
    parity: Compared | None  # against the desk, on the recording whose text is known

    @property
    def words(self) -> str:
        """In a line."""
        cut = (
            f"whole windows of {self.chunk_ms:g} ms"
            if self.whole_window
            else f"chunks of {self.chunk_ms:g} ms"
        )
        ahead = f", {self.lookahead_ms:g} ms ahead" if self.lookahead_ms else ""
        return f"{self.runtime} {self.precision}, {self.takes} in {cut}{ahead}, {self.bytes / 1e6:.2f} MB"


class BundleFacts(_Record):
    """What a phone or firmware developer asks first."""

    folder: str
    target: Target
    user: str
    counter: int
    created: str
    simulated: bool
    signed_by: str
    key: str
    qwrist_version: str
    network: str
    parameters: int | None
    files: int
    bytes: int
    artifacts: tuple[ArtifactFacts, ...]
    runtimes: dict[str, VersionRange]
    heard_after_ms: tuple[
        float, float
    ]  # from a press to its key: at the soonest and the latest, without computing
    test_cer_percent: float | None
    test_cer_before_percent: float | None

    def rows(self) -> dict[str, object]:
        """Names and values, for a table."""
        found: dict[str, object] = {
            "for": f"{self.user}, {self.target}",
            "counter": self.counter,
            "created": f"{self.created} by qwrist {self.qwrist_version}",
            "signed by": f"{self.signed_by} ({self.key[:12]})",
            "network": self.network
            if self.parameters is None
            else f"{self.network}, {self.parameters:,} parameters",
            "files": f"{self.files}, {self.bytes / 1e6:.2f} MB",
        }
        found |= {artifact.file: artifact.words for artifact in self.artifacts}
        found |= {f"needs {kind}": _versions(versions) for kind, versions in self.runtimes.items()}
        if self.artifacts:
            soonest, latest = self.heard_after_ms
            found["a key is heard"] = (
                f"{soonest:.0f} to {latest:.0f} ms after its press, and the time to compute"
            )
        if self.test_cer_percent is not None:
            before = (
                ""
                if self.test_cer_before_percent is None
                else f" ({self.test_cer_before_percent:.1f} % before)"
            )
            found["test CER"] = f"{self.test_cer_percent:.1f} %{before}"
        if self.simulated:
            found["note"] = "simulated wearer: no figure here is a person's"
        return found


def describe(bundle: OpenBundle) -> BundleFacts:
    """The facts of an open bundle. Raises BadInput where a report in it is none."""
    manifest, model, reports = bundle.manifest, bundle.model, read_reports(bundle.contents)
    fit = reports.fit

    def parity(artifact: Artifact) -> Compared | None:
        figures = None if reports.parity is None else reports.parity.of(artifact.file)
        return None if figures is None else figures.typing

    return BundleFacts(
        folder=str(bundle.folder),
        target=manifest.target,
        user=manifest.user,
        counter=manifest.counter,
        created=manifest.created,
        simulated=manifest.simulated,
        signed_by=bundle.signer.name,
        key=manifest.key,
        qwrist_version=manifest.qwrist_version,
        network=model.network,
        parameters=None if fit is None else fit.parameters,
        files=len(manifest.files),
        bytes=manifest.bytes,
        artifacts=tuple(artifact_facts(artifact, parity(artifact)) for artifact in model.artifacts),
        runtimes={str(kind): versions for kind, versions in manifest.runtimes.items()},
        heard_after_ms=heard_after_ms(model, model.artifacts[0].form if model.artifacts else model.form),
        test_cer_percent=None if fit is None else fit.test.percent,
        test_cer_before_percent=None if fit is None or fit.test_before is None else fit.test_before.percent,
    )


def artifact_facts(artifact: Artifact, parity: Compared | None) -> ArtifactFacts:
    """The facts of an artifact."""
    form = artifact.form
    return ArtifactFacts(
        file=artifact.file,
        runtime=artifact.runtime,
        precision=form.precision,
        takes=form.takes,
        chunk_ms=form.chunk_frames * _MS,
        lookahead_ms=form.lookahead_frames * _MS,
        whole_window=form.whole_window,
        bytes=artifact.bytes,
        state_bytes=sum(array.nbytes for array in form.initial_state()),
        parity=parity,
    )


def heard_after_ms(model: ModelManifest, form: Form) -> tuple[float, float]:
    """From a press to the last sample that its key waits for: at the soonest, and at the latest.

    The network says a key `label_delay_frames` late, at an emission that `stride` frames make; the emission
    waits for its chunk and lookahead, and a frame for its window.
    """
    window = (N_FFT - HOP) / HOP  # frames
    soonest = model.label_delay_frames + model.stride + form.lookahead_frames + window
    return soonest * _MS, (soonest + form.chunk_frames - model.stride) * _MS


def _versions(versions: VersionRange) -> str:
    return versions.at_least + (" or later" if versions.below is None else f" to before {versions.below}")
