"""`qwrist type` and `replay`: decoding as it happens."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from edge.bundle import open_bundle
from edge.charset import CHARSET
from edge.decoder import Decoder as CtcDecoder
from edge.decoder import Greedy
from edge.edits import UNCHANGED, Shown, revise, text_of
from edge.errors import BadInput
from edge.manifest import ModelManifest, RuntimeKind, read_manifest
from edge.pipeline import HeardKey, Pipeline, Reading, StageClock, follow
from edge.prompts import prompt_deck
from edge.roll import STRAIGHT, Rolled, Turns
from edge.runtimes import Runtime, open_preferred
from edge.samples import KeyPress
from edge.scoring import Cer, matches, score
from edge.store import UserStore
from edge.trust import TrustStore
from firmware_bridge.sinks import StreamSink, TextSink
from qwrist import bands, ui
from qwrist.band_spec import FASTEST, SLOWEST
from qwrist.bands import LIVE_SESSION, Bands, BandSpec, Script
from qwrist.verbs.decoding import BeamOption, LmOption, NoLm, VocabularyOption, decoder_for
from qwrist.verbs.models import ModelOption, model_folder
from qwrist.verbs.numbers import check_number
from qwrist.verbs.record import BandOption
from qwrist.verbs.turned import TurnedOption, asked, asked_or_kept
from qwrist.verbs.users import AsJson, UserId

BundleOption = Annotated[Path | None, typer.Option(help="A bundle's folder, instead of the user's model.")]

_LATENCIES = 10  # presses that must have been read right: fewer may be chance
_LONGEST_S = 24 * 3600.0


class Heard(NamedTuple):
    """A decoded key, and when this machine had it: since when the screen shows it."""

    key: HeardKey
    at_s: float  # host seconds


@dataclass
class LiveSession:
    """What was decoded live and, where it is known, what was pressed."""

    heard: list[Heard] = field(default_factory=list)
    pressed: list[KeyPress] = field(default_factory=list)
    clock: StageClock = field(default_factory=StageClock)
    turned: Turns = STRAIGHT  # how the electrodes were rolled
    settled: int = 0  # of `heard`: those beyond may still change
    simulated: bool = False
    in_real_time: bool = False  # else the clock is virtual, and latencies mean nothing

    def hear(self, reading: Reading, at_s: float) -> None:
        """Take a reading that this machine had at `at_s`; a key that stays keeps its time."""
        said = [*reading.keys, *reading.tentative]
        before = self.heard[self.settled :]
        same = len(list(takewhile(_is_same, zip(before, said, strict=False))))
        times = [heard.at_s for heard in before[:same]] + [at_s] * (len(said) - same)
        self.heard[self.settled :] = map(Heard, said, times)
        self.settled += len(reading.keys)

    @property
    def text(self) -> str:
        """What was typed."""
        return text_of([heard.key.label for heard in self.heard])

    @property
    def truth(self) -> str:
        """What was meant to be typed, as far as keys say."""
        return text_of(CHARSET.labels(press.key for press in self.pressed))

    @property
    def cer(self) -> Cer | None:
        """Against the keys that were pressed; None where they are not known."""
        labels = CHARSET.labels(press.key for press in self.pressed)
        return score(labels, [heard.key.label for heard in self.heard]) if labels else None

    def latencies_s(self) -> list[float]:
        """From press to key event, over the presses that were read right; empty unless in real time."""
        if not self.in_real_time:
            return []
        known = [press for press in self.pressed if press.key in CHARSET]
        labels = CHARSET.labels(press.key for press in known)
        pairs = matches(labels, [heard.key.label for heard in self.heard])
        return [self.heard[heard].at_s - known[pressed].press_s for pressed, heard in pairs]

    def latency_ms(self, percentile: float) -> int | None:
        """A percentile of the latencies, milliseconds; None where too few presses were read right."""
        latencies = self.latencies_s()
        return (
            round(1000 * float(np.percentile(latencies, percentile)))
            if len(latencies) >= _LATENCIES
            else None
        )


def _is_same(pair: tuple[Heard, HeardKey]) -> bool:
    return pair[0].key.label == pair[1].label


def type_(
    user: UserId,
    band: BandOption = "ble:",
    runtime: Annotated[RuntimeKind, typer.Option(help="What runs the network.")] = "litert",
    model: ModelOption = None,
    bundle: BundleOption = None,
    beam: BeamOption = None,
    lm: LmOption = None,
    no_lm: NoLm = False,
    vocabulary: VocabularyOption = None,
    turned: TurnedOption = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long (default: Ctrl-C).")] = None,
    as_json: AsJson = False,
) -> None:
    """Type: decode the bands live, on the screen, rolled as `qwrist don` found them. Ctrl-C ends it."""
    spec = bands.parse(band)
    check_number("--seconds", seconds, most=_LONGEST_S)
    if isinstance(spec, bands.Sim) and seconds is None:
        raise BadInput("a simulated wearer types for as long as you say; add --seconds 30")
    sink = None if as_json else StreamSink(sys.stdout)
    decoder = _decoder(user, model, bundle, runtime)
    decoding = decoder_for(decoder.manifest.stride, beam, lm, vocabulary, no_lm=no_lm)
    rolled = _turns(user, model, bundle, turned)
    session = decode_live(decoder._replace(decoding=decoding), spec, seconds, sink, rolled)
    _report(session, as_json=as_json)


def replay(
    session: Annotated[Path, typer.Argument(help="A session file.")],
    user: UserId,
    runtime: Annotated[RuntimeKind, typer.Option(help="What runs the network.")] = "litert",
    model: ModelOption = None,
    bundle: BundleOption = None,
    beam: BeamOption = None,
    lm: LmOption = None,
    no_lm: NoLm = False,
    vocabulary: VocabularyOption = None,
    turned: TurnedOption = None,
    speed: Annotated[float | None, typer.Option(help="1 is real time (default: as fast as it goes).")] = None,
    as_json: AsJson = False,
) -> None:
    """Decode a recording as if it came in live; as it was worn, unless --turned says how to roll it."""
    check_number("--speed", speed, least=SLOWEST / 10, most=FASTEST)
    sink = None if as_json else StreamSink(sys.stdout)
    decoder = _decoder(user, model, bundle, runtime)
    decoding = decoder_for(decoder.manifest.stride, beam, lm, vocabulary, no_lm=no_lm)
    spec = bands.File(session, speed)
    decoded = decode_live(decoder._replace(decoding=decoding), spec, None, sink, asked(turned))
    _report(decoded, as_json=as_json)


class Decoder(NamedTuple):
    """A network that is ready to run, its description, and what makes keys of its emissions."""

    manifest: ModelManifest
    runtime: Runtime
    decoding: CtcDecoder = Greedy()


def decoder_of(user: str, model: int | None, kind: RuntimeKind) -> Decoder:
    """A user's model, by default the one in use. Raises BadInput."""
    folder = model_folder(UserStore.default().user(user), model)
    manifest = read_manifest(folder)
    return Decoder(manifest, open_preferred(folder, manifest, kind))


def _decoder(user: str, model: int | None, bundle: Path | None, kind: RuntimeKind) -> Decoder:
    """What was asked for; a bundle that is used is the oldest that will be used from then on."""
    if bundle is None:
        return decoder_of(user, model, kind)
    if model is not None:
        raise BadInput("--model is of the user's store and --bundle a folder of its own; name one of them")
    opened = open_bundle(bundle, TrustStore.default(), user)
    artifact = opened.model.desk_artifact(kind)
    if artifact is None:
        raise BadInput(f"{bundle} holds no model of frames for {kind}; name another --runtime")
    return Decoder(opened.model, opened.runtime(artifact))


def _turns(user: str, model: int | None, bundle: Path | None, turned: str | None) -> Turns:
    """How to roll. What `qwrist don` found is of the user's own models: a bundle is only rolled if asked."""
    if bundle is not None:
        return asked(turned)
    found = UserStore.default().user(user)
    return asked_or_kept(found, model_folder(found, model), turned)


def decode_live(
    decoder: Decoder,
    spec: BandSpec,
    seconds: float | None,
    sink: TextSink | None,
    turned: Turns = STRAIGHT,
) -> LiveSession:
    """Decode a source, its electrodes rolled, until it ends, `seconds` are over or Ctrl-C."""
    manifest, engine, decoding = decoder
    session = LiveSession(turned=turned, in_real_time=isinstance(spec, bands.Sim) and spec.speed == 1)
    duration_s = _LONGEST_S if seconds is None else seconds
    script = Script(LIVE_SESSION, duration_s, _live_prompts(spec, duration_s))

    async def run() -> None:
        async with bands.open_bands(spec, manifest.sides, script) as opened:
            pipeline = Pipeline(manifest, engine, filtered=opened.source.info.filtered, decoder=decoding)
            await _listen(pipeline, opened, duration_s, sink, session)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        ui.note("\nstopped")
    return session


def _live_prompts(spec: BandSpec, duration_s: float) -> list[str]:
    if not isinstance(spec, bands.Sim):
        return []
    return list(islice(prompt_deck(LIVE_SESSION), 1 + round(duration_s)))


async def _listen(
    pipeline: Pipeline, opened: Bands, duration_s: float, sink: TextSink | None, session: LiveSession
) -> None:
    session.simulated = opened.simulated
    shown = Shown()
    source = bands.UpTo(opened.source, duration_s)
    try:
        async for reading in follow(pipeline, Rolled(source, session.turned), session.clock):
            session.hear(reading, opened.clock())
            labels = ([key.label for key in keys] for keys in reading)
            shown, edit = revise(shown, *labels)
            if sink is not None and edit != UNCHANGED:
                sink.apply(edit)
    finally:  # also where Ctrl-C ends it
        if opened.keys is not None:
            session.pressed = opened.keys.until(source.last_s)


def _report(session: LiveSession, *, as_json: bool) -> None:
    result: dict[str, object] = {"keys": len(session.heard), "text": session.text}
    if session.pressed and (cer := session.cer) is not None:
        result |= {"typed": session.truth, "cer_percent": round(cer.percent, 2)}
    result["turned"] = session.turned
    result["real_time_factor"] = round(session.clock.real_time_factor, 4)
    if session.in_real_time:
        result |= {"latency_p50_ms": session.latency_ms(50), "latency_p95_ms": session.latency_ms(95)}
    result["simulated"] = session.simulated
    if as_json:
        ui.emit_json(result)
    else:
        ui.say()
        ui.facts("Decoded", result)
