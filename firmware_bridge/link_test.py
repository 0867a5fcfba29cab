"""Is this link good enough to type with? Each figure with its limit, where that comes from, and what to do.

Everything here is a pure function of what a source delivered and what its links counted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge.quality import FEWEST_ELECTRODES, LOSS_FAIL, LOSS_WARN, Severity
from edge.quality import check as judge_session
from edge.samples import ELECTRODES, SIDES, Bool, Float32, Float64, SampleChunk, Side, SourceInfo
from edge.session import PROMPTED, Session
from firmware_bridge.airtime import PHY_1M, PHY_2M, Air
from firmware_bridge.packet import Codec

if TYPE_CHECKING:
    from firmware_bridge.pair import LinkStats

# Of edge.quality's checks. Not clipping: in seconds at rest, coarse counts are often at their extreme.
_SIGNAL: Final = frozenset({"flat", "loud", "mains"})
_MAINS_S: Final = 10.0  # in 3 s of a good wearer's typing, mains was found on one electrode in eight
_PHYS: Final = {1: "1M", 2: "2M", 3: "coded"}

_LINUX_INTERVAL: Final = (
    "have the firmware ask for 15 ms (docs/guides/firmware.md); until then, as root: cd "
    "/sys/kernel/debug/bluetooth/hci0 && echo 12 > conn_min_interval && echo 12 > conn_max_interval, then "
    "connect again"
)
_OTHER_INTERVAL: Final = "have the firmware ask for 15 ms (docs/guides/firmware.md); nobody else may"
_NEARER: Final = "bring the band nearer, nothing of metal between, and switch other Bluetooth devices off"
_UPSTREAM: Final = (
    "it was lost before it came here: see to the amplifier's link and program (docs/guides/hardware.md)"
)
_REFUSED: Final = "do first what is said of refused: half a second of such packets is a lost link; then: "
_LESS: Final = "a shorter interval, 2M PHY, rice12"


class Finding(NamedTuple):
    """One line of the report. `side` is None where it concerns both bands."""

    check: str
    severity: Severity
    figure: str  # what was measured, with its unit
    limit: str  # what is good enough, and why
    advice: str  # what to do; empty where there is nothing
    side: Side | None = None


class Heard(NamedTuple):
    """What a source delivered, and what its links had counted by then."""

    info: SourceInfo
    time_s: Float64  # (T,)
    emg_uv: Float32  # (T, W, E)
    valid: Bool  # (T, W)
    links: tuple[LinkStats, ...] = ()  # none where there is no radio
    ever_off: tuple[frozenset[int], ...] = ()  # by link: electrodes that were without contact at any time
    lost: str | None = None  # why it broke off
    passed_s: float | None = None  # since the first sample, or for want of one since the start; None: unpaced

    @property
    def duration_s(self) -> float:
        """Of the samples."""
        return len(self.time_s) / self.info.rate_hz


class Limit(NamedTuple):
    """From where on a figure is doubtful, and from where on it is too bad."""

    warn: float
    fail: float
    why: str

    def severity(self, value: float) -> Severity:
        """Values up to `warn` are good."""
        return Severity((value > self.warn) + (value > self.fail))


LOSS: Final = Limit(
    LOSS_WARN, LOSS_FAIL, f"at most {LOSS_WARN:.0%}, as in qwrist check; {LOSS_FAIL:.0%} is too much"
)
JITTER_MS: Final = Limit(
    50.0, 500.0, "p99 at most 50 ms: the clock is proven up to there (decision 0008); 500 ms is a lost link"
)
INTERVAL_MS: Final = Limit(
    30.0, 100.0, "at most 30 ms: keys come later by it, and an event carries 4 to 7 packets only"
)
AIR: Final = Limit(0.6, 0.9, "at most 60 % of the air: the rest is for repeats, Wi-Fi and other links")
REFUSED: Final = Limit(0.0, 0.01, "none: each was damaged on the way or is not of this protocol")
DUPLICATES: Final = Limit(0.01, 1.0, "at most 1 %: they are dropped; all of them twice is a fault of BlueZ")
OVERFLOWS: Final = Limit(0.0, 0.01, "none: packets are dropped where a queue is full; 1 % is too much")
BEHIND_S: Final = Limit(0.5, 2.0, "what was taken comes within 0.5 s; after 2 s more the test is ended")
RECONNECTS: Final = Limit(0, 2, "none; with three in one test nobody can type")
USED_BATTERY: Final = Limit(80.0, 95.0, "at least 20 %; below 5 % it ends within a session")
OFF: Final = Limit(
    0, ELECTRODES - FEWEST_ELECTRODES, f"all; fewer than {FEWEST_ELECTRODES} are too few, as in qwrist check"
)


def judge(heard: Heard, platform: str = sys.platform) -> tuple[Finding, ...]:
    """All findings, good ones too. `platform` is a value of sys.platform."""
    findings = [*_connection(heard), *_loss(heard)]
    for link, off in zip(heard.links, heard.ever_off, strict=True):
        findings += [*_counts(link, heard.duration_s), *_radio(link, platform)]
        findings += [_battery(link), _contact(link, off), _codec(link, len(heard.links))]
    return (*findings, *_air(heard), *_signal(heard))


def worst(findings: Sequence[Finding]) -> Severity:
    """The whole test's verdict."""
    return max((finding.severity for finding in findings), default=Severity.OK)


def gather(info: SourceInfo, chunks: Sequence[SampleChunk]) -> Heard:
    """The samples of a test, in one piece."""
    if not chunks:
        return Heard(
            info,
            np.zeros(0),
            np.zeros((0, len(SIDES), ELECTRODES), np.float32),
            np.zeros((0, len(SIDES)), np.bool_),
        )
    return Heard(
        info,
        np.concatenate([chunk.time_s for chunk in chunks]),
        np.concatenate([chunk.emg_uv for chunk in chunks]),
        np.concatenate([chunk.valid for chunk in chunks]),
    )


def _graded(
    check: str, limit: Limit, value: float, figure: str, advice: str, side: Side | None = None
) -> Finding:
    severity = limit.severity(value)
    return Finding(check, severity, figure, limit.why, advice if severity else "", side)


def _connection(heard: Heard) -> Iterator[Finding]:
    if heard.lost is not None:
        figure = f"lost after {heard.duration_s:.1f} s"
        yield Finding("connection", Severity.FAIL, figure, "it lasts as long as the test", heard.lost)
    elif heard.passed_s is not None:
        behind_s = heard.passed_s - heard.duration_s
        figure = f"{heard.duration_s:.1f} s of samples in {heard.passed_s:.1f} s"
        nearer = f"{_LESS}; {_NEARER}" if heard.links else _UPSTREAM
        advice = f"keys would come as late as that: {nearer}"
        yield _graded("delay", BEHIND_S, behind_s, figure, advice)


def _loss(heard: Heard) -> Iterator[Finding]:
    advice = _NEARER if heard.links else _UPSTREAM
    for side in heard.info.sides:
        valid = heard.valid[:, SIDES.index(side)]
        share = 1.0 - float(valid.mean()) if len(valid) else 1.0
        yield _graded("loss", LOSS, share, f"{share:.2%} of {len(valid)} samples missing", advice, side)


def _counts(link: LinkStats, duration_s: float) -> Iterator[Finding]:
    side, packets = link.side, max(1, link.packets)
    yield _throughput(link, duration_s)
    if link.jitter_p50_ms is not None and link.jitter_p99_ms is not None:
        jitter = f"p50 {link.jitter_p50_ms:.1f} ms, p99 {link.jitter_p99_ms:.1f} ms"
        yield _graded("jitter", JITTER_MS, link.jitter_p99_ms, jitter, _NEARER, side)
    yield _graded(
        "overflow",
        OVERFLOWS,
        (link.band_overflows + link.queue_overflows) / packets,
        f"packets dropped: {link.band_overflows} in the band, {link.queue_overflows} in this computer",
        f"in the band: {_LESS}; in this computer: close what keeps it busy",
        side,
    )
    yield _graded(
        "refused",
        REFUSED,
        link.refused / packets,
        f"{link.refused} of {link.packets + link.refused} notifications{_kinds(link)}",
        "update the band's firmware; docs/formats/packet.md says what a packet must be",
        side,
    )
    yield _graded(
        "duplicates",
        DUPLICATES,
        link.duplicates / packets,
        f"{link.duplicates} packets came again",
        "switch the band off and on, or update BlueZ and bleak (bleak's issue 2002)",
        side,
    )
    reconnects = f"{link.reconnects} in {duration_s:.0f} s"
    advice = _REFUSED + _NEARER if link.refused else _NEARER
    yield _graded("reconnects", RECONNECTS, link.reconnects, reconnects, advice, side)


def _kinds(link: LinkStats) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in link.refusals)
    return f": {kinds}" if kinds else ""


def _throughput(link: LinkStats, duration_s: float) -> Finding:
    rate_kb = link.payload_bytes / max(duration_s, 1e-3) / 1000
    bits = 8 * link.payload_bytes / (max(1, link.received_samples) * ELECTRODES)
    return Finding(
        "throughput",
        Severity.OK if link.packets else Severity.FAIL,
        f"{rate_kb:.1f} kB/s, {bits:.1f} bits a sample with headers",
        "what the band has to send; what is too little shows as loss",
        "" if link.packets else "nothing came at all: switch the band off and on",
        link.side,
    )


def _battery(link: LinkStats) -> Finding:
    if link.battery_percent is None:
        return Finding("battery", Severity.OK, "not told", USED_BATTERY.why, "", link.side)
    used = 100.0 - link.battery_percent
    return _graded("battery", USED_BATTERY, used, f"{link.battery_percent} %", "charge the band", link.side)


def _contact(link: LinkStats, ever_off: frozenset[int]) -> Finding:
    off = sorted(ever_off | set(link.lead_off))
    if not off:
        return Finding("contact", Severity.OK, f"all {ELECTRODES} electrodes", OFF.why, "", link.side)
    named = _named(off)
    advice = f"seat the band, moisten the skin under {named}; one that stays off is broken"
    return _graded("contact", OFF, len(off), f"{named} had none", advice, link.side)


def _named(electrodes: Sequence[int]) -> str:
    *others, last = electrodes
    return f"electrodes {', '.join(map(str, others))} and {last}" if others else f"electrode {last}"


def _radio(link: LinkStats, platform: str) -> Iterator[Finding]:
    severity = Severity.OK if link.mtu >= 185 else Severity.WARN if link.mtu >= 100 else Severity.FAIL
    advice = "have the firmware accept 247 or more (docs/guides/firmware.md); on Windows, connect again"
    yield Finding(
        "mtu",
        severity,
        f"{link.mtu} bytes",
        "at least 185, as iPhones grant; below 100 headers fill the air",
        advice if severity else "",
        link.side,
    )
    severity = {2: Severity.OK, 1: Severity.WARN}.get(link.phy, Severity.FAIL)
    advice = "have the firmware ask for 2M; adapters before Bluetooth 5 have only 1M"
    yield Finding(
        "phy",
        severity,
        _PHYS.get(link.phy, f"unknown ({link.phy})"),
        "2M: on 1M bands take twice the air, coded carries less than one band sends",
        advice if severity else "",
        link.side,
    )
    advice = _LINUX_INTERVAL if platform == "linux" else _OTHER_INTERVAL
    yield _graded("interval", INTERVAL_MS, link.interval_ms, f"{link.interval_ms:g} ms", advice, link.side)


def _codec(link: LinkStats, bands: int) -> Finding:
    heavy = link.codec is Codec.RAW16 and bands > 1
    return Finding(
        "codec",
        Severity.WARN if heavy else Severity.OK,
        link.codec.name.lower(),
        "any; raw16 of two bands fills a radio (docs/formats/packet.md)",
        "use rice12: --band ble:codec=rice12" if heavy else "",
        link.side,
    )


def _air(heard: Heard) -> Iterator[Finding]:
    """A model, not a measurement: repeats are not known."""
    if not heard.links or heard.duration_s == 0:
        return
    share = sum(_air_share(link, heard.duration_s) for link in heard.links)
    advice = "a smaller codec (rice12), 2M PHY, a larger MTU; or an adapter for each band"
    yield _graded("airtime", AIR, share, f"{share:.0%}, modelled without repeats", advice)


def _air_share(link: LinkStats, duration_s: float) -> float:
    air = Air(PHY_1M if link.phy == 1 else PHY_2M, link.interval_ms or Air().interval_ms)
    return air.share([link.payload_bytes // max(1, link.packets)] * link.packets, duration_s)


def _signal(heard: Heard) -> Iterator[Finding]:
    """What edge.quality says of the electrodes."""
    if heard.duration_s < 1:
        yield Finding("signal", Severity.WARN, "less than a second", "some seconds", "listen for longer")
        return
    judged = _SIGNAL if heard.duration_s >= _MAINS_S else _SIGNAL - {"mains"}
    session = Session(
        name="link-test",
        user="",
        condition=PROMPTED,
        sides=heard.info.sides,
        filtered=heard.info.filtered,
        simulated=False,
        time_s=heard.time_s,
        emg_uv=heard.emg_uv,
        valid=heard.valid,
        keys=(),
        prompts=(),
    )
    bad = [verdict for verdict in judge_session(session) if verdict.check in judged and verdict.severity]
    for verdict in bad:
        where = f"electrode {verdict.electrode}: {verdict.figure}"
        yield Finding(verdict.check, verdict.severity, where, verdict.meaning, verdict.advice, verdict.side)
    for side in heard.info.sides:
        unusable = len({verdict.electrode for verdict in bad if verdict.side == side})
        figure = f"{ELECTRODES - unusable} of {ELECTRODES} electrodes"
        yield _graded("signal", OFF, unusable, figure, "do what is said of each electrode", side)
