"""MODEL_CARD.md: whose decoder this is, what it was made of, how well it does, and what it is not for.

Every figure comes from a report that lies in the bundle beside it; what no report says is not said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from edge.manifest import ModelManifest
from export.bundle.describe import ArtifactFacts, artifact_facts, heard_after_ms
from export.bundle.figures import Cer, Fit, Parity, Reports, RuntimeFigures

FILE_NAME: Final = "MODEL_CARD.md"
_COLUMNS: Final = (
    "| file | runtime | precision | takes | a call | size | state | on the typing: max \\|Δ log p\\| | text "
    "| CER | on the worst golden | same text |"
)


_PROOF: Final = """
Each was loaded, run on the golden recordings and compared with the trained network before it was kept;
`parity.json` has every figure. "Text" compares what is decoded with what the desk decodes.
"""


class Timing(NamedTuple):
    """How long a call of an artifact took, and where that was measured."""

    file: str
    median_ms: float
    p99_ms: float
    real_time_factor: float  # seconds of processing a second of signal


def model_card(
    model: ModelManifest, reports: Reports, timings: Sequence[Timing] = (), machine: str = ""
) -> str:
    """The card, in Markdown. `machine` says where `timings` were taken."""
    parts = [
        _title(model, reports.fit),
        _made_of(model, reports.fit),
        _accuracy(reports.fit),
        _artifacts(model, reports.parity),
        _latency(model, timings, machine),
        _limits(model),
    ]
    return "\n".join(part for part in parts if part)


def _title(model: ModelManifest, fit: Fit | None) -> str:
    size = "" if fit is None else f" of {fit.parameters:,} parameters"
    bands = " and ".join(model.sides) + (" wristband" if len(model.sides) == 1 else " wristbands")
    warning = (
        "**The wearer is simulated.** No figure on this page is a person's.\n" if model.simulated else ""
    )
    return f"""# Typing decoder of {model.user}

A `{model.network}` network{size} that turns the muscle signals of one person, at the {bands},
into {len(model.charset)} keys. Made {model.created}.

{warning}"""


def _made_of(model: ModelManifest, fit: Fit | None) -> str:
    if fit is None:
        return ""
    kind = "simulated recordings" if fit.simulated else f"recordings of {model.user}"
    train, validation, test = (fit.minutes(role) for role in ("train", "validation", "test"))
    taught = ""
    if fit.teacher is not None:
        teacher = fit.teacher
        taught = (
            f"\nTaught by the same person's {teacher.network} network of {teacher.parameters:,} parameters."
        )
    return f"""## Made of

Minutes of {kind}: {train:.1f} to train on, {validation:.1f} to choose the best moment by, {test:.1f} to
test with, once, after everything was decided. Start: {fit.start}.{taught}
"""


def _accuracy(fit: Fit | None) -> str:
    if fit is None:
        return ""
    rows = [("validation", fit.validation), ("test", fit.test)]
    if fit.test_before is not None:
        rows.insert(1, ("test, before personalising", fit.test_before))
    if fit.teacher is not None:
        rows.append((f"test, its teacher ({fit.teacher.network})", fit.teacher.test))
    table = "\n".join(_cer_row(name, cer) for name, cer in rows)
    return f"""## Character error rate

Wrong, missed and invented keys, in percent of the keys typed; greedy decoding, no language model.

| recording | CER | inserted | missed | wrong | keys |
|---|---|---|---|---|---|
{table}
"""


def _cer_row(name: str, cer: Cer) -> str:
    cells = (name, f"{cer.percent:.1f} %", cer.insertions, cer.deletions, cer.substitutions, cer.length)
    return f"| {' | '.join(map(str, cells))} |"


def _artifacts(model: ModelManifest, parity: Parity | None) -> str:
    rows = []
    for artifact in model.artifacts:
        figures = None if parity is None else parity.of(artifact.file)
        facts = artifact_facts(artifact, None if figures is None else figures.typing)
        rows.append(_artifact_row(facts, figures))
    if not rows:
        return ""
    proof = "" if parity is None else _PROOF
    return f"""## Files that run, against the desk

{_COLUMNS}
|---|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}
{proof}"""


def _artifact_row(facts: ArtifactFacts, figures: RuntimeFigures | None) -> str:
    found = facts.parity
    compared: tuple[str, ...] = ("-",) * 5
    if found is not None and figures is not None:
        cer = "-" if found.cer_runtime is None else f"{found.cer_runtime:.1f} %"
        worst = max(figures.figures, key=lambda one: one.max_delta)
        compared = (
            f"{found.max_delta:.1e}",
            "identical" if found.identical_text else "differs",
            cer,
            f"{worst.max_delta:.1e} ({worst.golden})",
            f"{sum(one.identical_text for one in figures.figures)} of {len(figures.figures)}",
        )
    call = f"{facts.chunk_ms:g} ms" + (f" + {facts.lookahead_ms:g} ahead" if facts.lookahead_ms else "")
    cells = (
        f"`{facts.file}`", facts.runtime, facts.precision, facts.takes, call,
        f"{facts.bytes / 1e6:.2f} MB", f"{facts.state_bytes:,} B", *compared,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _latency(model: ModelManifest, timings: Sequence[Timing], machine: str) -> str:
    if not model.artifacts:
        return ""
    soonest, latest = heard_after_ms(model, model.artifacts[0].form)
    text = f"""## Latency

By construction a key is decided {soonest:.0f} to {latest:.0f} ms after its press: the network's delay, and
the chunk, lookahead and window of `{model.artifacts[0].file}`. Then comes the time to compute.
"""
    if not timings:
        return text
    rows = "\n".join(
        f"| `{one.file}` | {one.median_ms:.2f} ms | {one.p99_ms:.2f} ms | {one.real_time_factor:.3f} |"
        for one in timings
    )
    return f"""{text}
| file | median a call | p99 | real-time factor |
|---|---|---|---|
{rows}

Measured on {machine or "the computer that exported it"}, one thread; a phone or microcontroller differs.
"""


def _limits(model: ModelManifest) -> str:
    return f"""## Limits

- It decodes {model.user} and nobody else. Another wearer, or the bands put on differently, gives wrong keys.
- Muscle signals identify a person, and this network and the golden recordings hold traces of what was typed:
  treat the whole bundle as biometric data. Whoever has it can try to recognise {model.user} by it.
- It is not a medical device: it diagnoses nothing, and nothing that must not fail may depend on it.
- The figures hold for the recordings named above; another day's may be worse.
"""
