"""`qwrist demo`: the whole product with a simulated wearer, from bands to text, in a few minutes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from edge.errors import BadInput
from edge.manifest import read_manifest
from edge.session import read_session
from edge.store import User, UserStore
from firmware_bridge.sinks import StreamSink
from personalize.base_users import forbid
from qwrist import ui
from qwrist.bands import Sim
from qwrist.verbs import exports, live, parity, personalize, record
from qwrist.verbs.live import LiveSession
from qwrist.verbs.record import Recorded, Wish
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from export.parity import ParityReport
    from personalize.fit import Personalized

USER = "demo"
WEARER = 1  # of `simulate`; not one of those that the base was trained on
# About four minutes to learn from, the last of them to choose the epoch; then a recording that only tests.
MINUTES = (1.5, 1.5, 1.0, 1.5)
LIVE_S = 30.0
_STEPS = 5


class Outcome(NamedTuple):
    """What the demo's table says."""

    minutes_recorded: float
    minutes_learnt_from: float
    link_speed: float
    cer_before_percent: float | None  # None: from scratch
    cer_after_percent: float
    test_keys: int
    pte_mb: float
    tflite_mb: float
    max_delta: float
    identical_text: bool
    live_cer_percent: float | None  # None: nothing was typed
    real_time_factor: float
    latency_p50_ms: int | None  # None: no key was read right
    latency_p95_ms: int | None


def demo(as_json: AsJson = False) -> None:
    """Everything with a simulated wearer, no hardware: record, personalise, export, prove, type."""
    forbid(WEARER)
    started_s = time.monotonic()
    user = _fresh_user(UserStore.default())
    ui.note(f"1/{_STEPS} enroll: two virtual bands, a whole Bluetooth stack between them and this program")
    recorded = [record.record(user, Sim(WEARER), Wish(minutes)) for minutes in MINUTES]
    ui.note(f"2/{_STEPS} personalize: from the base that ships with qwrist")
    done = personalize.fit(user, personalize.choose_recipe())
    ui.note(f"3/{_STEPS} export: ExecuTorch and TFLite, each compared with the desk before it is kept")
    exports.lower(user, done.folder)
    from export.parity import ParityFailed

    ui.note(f"4/{_STEPS} parity: the files on the disk against the desk, on the test recording")
    report = parity.prove(user, done.folder).report
    if report.failures():
        raise ParityFailed("; ".join(report.failures()))
    ui.note(f"5/{_STEPS} type: {LIVE_S:.0f} s in real time, over the same link")
    typed = live.decode_live(
        live.decoder_of(USER, None, "litert"),
        Sim(WEARER, speed=1.0),
        LIVE_S,
        None if as_json else StreamSink(sys.stdout),
    )
    outcome = _outcome(recorded, done, report, typed)
    if as_json:
        ui.emit_json(outcome._asdict() | {"typed": typed.truth, "decoded": typed.text})
        return
    _render(outcome, typed, time.monotonic() - started_s)
    ui.say(f"\nRecordings: {user.session_path('session-0001').parent}")
    ui.say(f"Model, .pte, .tflite, reports: {done.folder}")
    ui.say("Go on with it: qwrist type --user demo --band sim:speed=1 --seconds 60")


def _fresh_user(store: UserStore) -> User:
    """The demo's user, without what an earlier demo left. Raises BadInput where a person has taken the id."""
    if USER in store.users():
        old = store.user(USER)
        record.seal_leftovers(old)
        recordings = all(read_session(path).simulated for path in old.sessions())
        trained = all(read_manifest(old.slot(number)).simulated for number in old.slots())
        if not (recordings and trained):
            raise BadInput(
                f"the user {USER!r} has recordings of a person, which the demo would replace; "
                "set QWRIST_HOME to another folder"
            )
        store.forget(USER)
    return store.create(USER)


def _outcome(
    recorded: list[Recorded], done: Personalized, proved: ParityReport, typed: LiveSession
) -> Outcome:
    report, manifest = done.report, read_manifest(done.folder)
    sizes = {artifact.runtime: artifact.bytes / 1e6 for artifact in manifest.artifacts}
    figures = [figure for runtime in proved.runtimes for figure in runtime.figures]
    seconds = sum(one.enrollment.progress.recorded_s for one in recorded)
    p50, p95 = typed.latency_ms(50), typed.latency_ms(95)
    return Outcome(
        minutes_recorded=round(seconds / 60, 2),
        minutes_learnt_from=round(report.minutes("train") + report.minutes("validation"), 2),
        link_speed=round(seconds / sum(one.wall_s for one in recorded), 2),
        cer_before_percent=report.test_before.percent if report.test_before else None,
        cer_after_percent=report.test.percent,
        test_keys=report.test.length,
        pte_mb=round(sizes["executorch"], 2),
        tflite_mb=round(sizes["litert"], 2),
        max_delta=max(figure.max_delta for figure in figures),
        identical_text=all(figure.identical_text for figure in figures),
        live_cer_percent=round(typed.cer.percent, 1) if typed.cer else None,
        real_time_factor=round(typed.clock.real_time_factor, 3),
        latency_p50_ms=p50,
        latency_p95_ms=p95,
    )


def _render(outcome: Outcome, typed: LiveSession, wall_s: float) -> None:
    for name, text in (("typed", typed.truth), ("decoded", typed.text)):
        ui.say(f"\n{name}:")
        for line in text.splitlines():
            ui.say(f"  {line}")
    ui.say()
    p50, p95 = outcome.latency_p50_ms, outcome.latency_p95_ms
    same = "identical text" if outcome.identical_text else "DIFFERENT TEXT"
    ui.facts(
        "Measured on a simulated wearer: no figure here is a person's",
        {
            "recorded": f"{outcome.minutes_recorded} min over the link, {outcome.link_speed}x real time",
            "learnt from": f"{outcome.minutes_learnt_from} min; the last recording only tests",
            "CER before": f"{_known(outcome.cer_before_percent)} % (the base, {outcome.test_keys} test keys)",
            "CER after": f"{outcome.cer_after_percent:.1f} %",
            "artifacts": f".pte {outcome.pte_mb} MB, .tflite {outcome.tflite_mb} MB",
            "parity": f"max |Δ log p| {outcome.max_delta:.1e}, {same}",
            "live CER": f"{_known(outcome.live_cer_percent)} % over {LIVE_S:.0f} s",
            "real-time factor": f"{outcome.real_time_factor} (below 1 keeps up)",
            "press to key event": f"p50 {_known(p50)} ms, p95 {_known(p95)} ms at 1x",
            "demo": f"{wall_s / 60:.1f} min",
        },
    )


def _known(figure: float | None) -> str:
    return "-" if figure is None else f"{round(figure, 1):g}"
