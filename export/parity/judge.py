"""Judging one runtime: run every golden, compare with the reference, name what is beyond a limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from edge.errors import BadInput
from edge.manifest import Form, ModelManifest
from edge.runtimes import Runtime
from edge.samples import Bool, Float32
from export.golden import Cut, Golden, Reading, say
from export.parity.measures import compare, deltas, spoken
from export.parity.report import Figures
from export.parity.thresholds import QuantizedLimits, Thresholds
from personalize.evaluate import score_emissions
from personalize.geometry import Geometry
from personalize.networks import Network
from personalize.reference import WHOLE_WINDOW_FRAMES, TorchRuntime

DISTURBED: Final = "disturbed"  # all goldens but the typing, together

_SILENT: Final = "the reference decodes no key, so nothing is proved; use a recording with typing"


class Trace(NamedTuple):
    """The error of each emission of one golden, to be plotted."""

    golden: str
    delta: Float32  # (M,) largest |delta log p|
    spoken: Bool  # (M,)


class Verdict(NamedTuple):
    """What one runtime was found to say."""

    figures: tuple[Figures, ...]
    disturbed: Figures | None
    traces: tuple[Trace, ...]

    @property
    def departs(self) -> bool:
        """Something is beyond a limit; a silent reference alone shows no departure."""
        return bool(self.faulty) or (self.disturbed is not None and bool(self.disturbed.faults))

    @property
    def faulty(self) -> tuple[int, ...]:
        """Which goldens are beyond a limit by themselves."""
        return tuple(i for i, one in enumerate(self.figures) if set(one.faults) - {_SILENT})


def expectations(
    network: Network, manifest: ModelManifest, goldens: Iterable[Golden], forms: Sequence[Form] = ()
) -> tuple[Golden, ...]:
    """The goldens with what the torch reference says of them, cut as `forms` (default: the desk's)."""
    wanted = {Cut.of(form): form for form in forms or (manifest.form,)}
    return tuple(
        golden._replace(
            readings=tuple(_read(network, manifest, golden, form) for form in _forms(golden, wanted))
        )
        for golden in goldens
    )


def _forms(golden: Golden, wanted: dict[Cut, Form]) -> list[Form]:
    """And in whole windows, where a form looks ahead: what the latency costs is told on the typing."""
    forms = list(wanted.values())
    looks_ahead = any(cut.lookahead_frames for cut in wanted)
    if looks_ahead and golden.labels is not None and not any(cut.whole_window for cut in wanted):
        forms.append(Form(chunk_frames=WHOLE_WINDOW_FRAMES, whole_window=True))
    return forms


def _read(network: Network, manifest: ModelManifest, golden: Golden, form: Form) -> Reading:
    log_probs = say(TorchRuntime(network, form), manifest, golden)
    whole = None
    longest = max(len(segment.frames) for segment in golden.segments)
    if Cut.of(form).chunk_frames == 0 and longest:
        at_once = form.model_copy(update={"chunk_frames": -(-longest // manifest.stride) * manifest.stride})
        whole = say(TorchRuntime(network, at_once), manifest, golden)
    return Reading(Cut.of(form), log_probs, whole)


class _Said(NamedTuple):
    golden: Golden
    reading: Reading
    actual: Float32


def judge(
    runtime: Runtime, manifest: ModelManifest, goldens: Sequence[Golden], thresholds: Thresholds
) -> Verdict:
    """Run every golden through `runtime`. Raises ParityFailed where it gives other numbers of emissions."""
    form = runtime.form
    said = [_Said(golden, _reference(golden, form), say(runtime, manifest, golden)) for golden in goldens]
    figures = [_figures(one, form, manifest, thresholds) for one in said]
    if figures and sum(one.said_by_reference for one in figures) == 0:
        figures[0] = _faulted(figures[0], _SILENT)
    traces = tuple(
        Trace(golden.name, deltas(reading.log_probs, actual), spoken(reading.log_probs, actual))
        for golden, reading, actual in said
    )
    if form.precision == "float32" and form.takes == "frames":
        return Verdict(tuple(_judge_float(one, thresholds) for one in figures), None, traces)
    limits = _limits(form, thresholds)
    judged = tuple(
        _judge_quantized(one, limits, thresholds.sum_error, disturbed=of.golden.scenario.disturbed)
        for of, one in zip(said, figures, strict=True)
    )
    return Verdict(judged, _disturbed(said, figures, limits, thresholds.sum_error), traces)


def _limits(form: Form, thresholds: Thresholds) -> QuantizedLimits:
    """Of int8, or of float32 on raw samples."""
    limits = thresholds.quantized
    return (
        limits.model_copy(update={"rms": thresholds.float32.rms_samples})
        if form.precision == "float32"
        else limits
    )


def _reference(golden: Golden, form: Form) -> Reading:
    reading = golden.reading(form)
    if reading is None:
        raise BadInput(
            f"golden {golden.name} does not say what to expect in {Cut.of(form)}; export again: qwrist export"
        )
    return reading


def _figures(said: _Said, form: Form, manifest: ModelManifest, thresholds: Thresholds) -> Figures:
    golden, reading, actual = said
    found = compare(reading.log_probs, actual, 1 - thresholds.quantized.agreement)
    ahead, stride = form.lookahead_frames, manifest.stride
    text = golden.text(reading.log_probs, ahead, stride)
    exact = form.precision == "float32" and form.takes == "frames" and reading.whole is not None
    window = next((one for one in golden.readings if one.cut.whole_window), None)
    return Figures(
        golden=golden.name,
        emissions=len(actual),
        said_by_reference=len(text),
        max_delta_whole=compare(reading.whole, actual).max_delta
        if exact and reading.whole is not None
        else None,
        identical_text=text == golden.text(actual, ahead, stride),
        cer_reference=_cer(golden, reading.log_probs, manifest, form),
        cer_runtime=_cer(golden, actual, manifest, form),
        cer_whole_window=None
        if window is None or not ahead
        else _cer(golden, window.log_probs, manifest, form),
        **found._asdict(),
    )


def _cer(golden: Golden, log_probs: Float32, manifest: ModelManifest, form: Form) -> float | None:
    if golden.labels is None or golden.labels.count == 0 or golden.scenario.resets:
        return None
    return score_emissions(log_probs, golden.labels, Geometry.of_manifest(manifest, form)).percent


def _judge_float(figures: Figures, thresholds: Thresholds) -> Figures:
    limit, found = thresholds.float32.max_delta, _not_distributions(figures, thresholds.sum_error)
    # Negated, so that NaN fails.
    if not figures.max_delta <= limit:
        found.append(f"max |delta log p| is {figures.max_delta:.2g}, at most {limit:g} is allowed")
    if figures.max_delta_whole is not None and not figures.max_delta_whole <= limit:
        found.append(
            f"in chunks it departs by {figures.max_delta_whole:.2g} from the whole recording at once, "
            f"at most {limit:g} is allowed"
        )
    if not figures.identical_text:
        found.append(f"the text differs: {100 * figures.agreement:.1f} % of the spoken emissions agree")
    return _faulted(figures, *found)


def _judge_quantized(
    figures: Figures, limits: QuantizedLimits, sum_error: float, *, disturbed: bool
) -> Figures:
    """By all limits; but one disturbed golden of several is too short for a share to mean much."""
    found = _not_distributions(figures, sum_error)
    if not np.isfinite(figures.max_delta):
        found.append("it says numbers that are none")
    rms = limits.rms_disturbed if disturbed else limits.rms
    if not figures.rms_delta <= rms:
        found.append(
            f"|delta log p| is {figures.rms_delta:.2g} in the root mean square, at most {rms:g} is allowed"
        )
    shares = figures.spoken > 0 and (figures.golden == DISTURBED or not disturbed)
    agreement = limits.agreement_disturbed if disturbed else limits.agreement
    if shares and not figures.agreement >= agreement:
        found.append(
            f"{100 * figures.agreement:.1f} % of {figures.spoken} spoken emissions have the same best class, "
            f"at least {100 * agreement:g} % are asked for"
        )
    if shares and not figures.cosine >= limits.cosine:
        found.append(
            f"{100 * limits.agreement:g} % of the spoken emissions reach a cosine of {figures.cosine:.4f}, "
            f"at least {limits.cosine:g} is asked for"
        )
    if figures.cer_runtime is not None and figures.cer_reference is not None:
        rise = figures.cer_runtime - figures.cer_reference
        if not rise <= limits.cer_points:
            found.append(f"CER rises by {rise:.1f} points, at most {limits.cer_points:g} is allowed")
    return _faulted(figures, *found)


def _disturbed(
    said: Sequence[_Said], figures: Sequence[Figures], limits: QuantizedLimits, sum_error: float
) -> Figures | None:
    """The disturbed goldens together: enough spoken emissions for a share, apart from the many of typing."""
    chosen = [i for i, one in enumerate(said) if one.golden.scenario.disturbed]
    if not chosen:
        return None
    reference = np.concatenate([said[i].reading.log_probs for i in chosen])
    actual = np.concatenate([said[i].actual for i in chosen])
    together = Figures(
        golden=DISTURBED,
        emissions=len(actual),
        said_by_reference=sum(figures[i].said_by_reference for i in chosen),
        identical_text=all(figures[i].identical_text for i in chosen),
        **compare(reference, actual, 1 - limits.agreement)._asdict(),
    )
    return _judge_quantized(together, limits, sum_error, disturbed=True)


def _not_distributions(figures: Figures, limit: float) -> list[str]:
    if figures.sum_error <= limit:
        return []
    found = f"a log of their sums is {figures.sum_error:.2g} from 0, at most {limit:g} is allowed"
    return [f"its emissions are no distributions: {found}"]


def _faulted(figures: Figures, *faults: str) -> Figures:
    return figures.model_copy(update={"faults": (*figures.faults, *faults)})
