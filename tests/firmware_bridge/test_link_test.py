"""Every figure has its verdict; every fault is named, with what to do; a good link passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.quality import Severity
from edge.samples import RATE_HZ, SIDES, SampleChunk, SourceInfo
from firmware_bridge.lane import LinkStats
from firmware_bridge.link_test import Heard, gather, judge, worst
from firmware_bridge.packet import Codec
from tests.firmware_bridge.sources import noise_uv

SECONDS = 4
SAMPLES = SECONDS * RATE_HZ
INFO = SourceInfo("two bands", RATE_HZ, SIDES, filtered=False)


def link(side="left", **changes):
    """What a good link counts in four seconds."""
    facts = {
        "side": side,
        "address": "F0:51:57:00:00:01",
        "codec": Codec.RICE12,
        "mtu": 247,
        "battery_percent": 80,
        "packets": 400,
        "lost": 0,
        "duplicates": 0,
        "refused": 0,
        "refusals": (),
        "received_samples": SAMPLES,
        "missing_samples": 0,
        "repeated_samples": 0,
        "queue_overflows": 0,
        "band_overflows": 0,
        "phy": 2,
        "interval_ms": 15.0,
        "lead_off": (),
        "reconnects": 0,
        "payload_bytes": 80_000,
        "jitter_p50_ms": 8.0,
        "jitter_p99_ms": 20.0,
    }
    assert set(changes) <= set(LinkStats._fields)
    return LinkStats(**facts | changes)


def heard(*links, **changes):
    links = links or (link("left"), link("right"))
    valid = np.ones((SAMPLES, 2), np.bool_)
    facts = Heard(INFO, np.arange(SAMPLES) / RATE_HZ, noise_uv(SAMPLES), valid, links)
    facts = facts._replace(**changes)
    return facts._replace(ever_off=facts.ever_off or (frozenset(),) * len(facts.links))


def objections(facts, platform="linux"):
    return {(f.check, f.severity.name, f.side) for f in judge(facts, platform) if f.severity}


def test_a_good_link_passes_line_by_line():
    findings = judge(heard())
    assert worst(findings) is Severity.OK
    lines = [(finding.check, finding.side) for finding in findings]
    checks = ("loss", "throughput", "jitter", "overflow", "refused", "duplicates", "reconnects", "mtu", "phy")
    checks += ("interval", "battery", "contact", "codec")
    assert {(check, side) for check in checks for side in SIDES} <= set(lines)
    assert {("airtime", None), ("signal", "left"), ("signal", "right")} <= set(lines)
    assert len(lines) == len(set(lines))
    assert all(finding.figure and finding.limit and not finding.advice for finding in findings)


@pytest.mark.parametrize(
    ("changes", "check", "severity", "figure", "advice"),
    [
        ({"jitter_p99_ms": 51.0}, "jitter", "WARN", "p99 51.0 ms", "nearer"),
        ({"jitter_p99_ms": 501.0}, "jitter", "FAIL", "p99 501.0 ms", "nearer"),
        ({"band_overflows": 1}, "overflow", "WARN", "dropped: 1 in the band", "shorter interval"),
        ({"queue_overflows": 9}, "overflow", "FAIL", "9 in this computer", "keeps it busy"),
        ({"refused": 1}, "refused", "WARN", "1 of 401", "firmware"),
        (
            {"refused": 400, "refusals": (("CRC", 400),)},
            "refused",
            "FAIL",
            "of 800 notifications: 400 CRC",
            "update",
        ),
        ({"duplicates": 5}, "duplicates", "WARN", "5 packets", "BlueZ"),
        ({"reconnects": 1}, "reconnects", "WARN", "1 in 4 s", "nearer"),
        ({"reconnects": 3}, "reconnects", "FAIL", "3 in 4 s", "nearer"),
        ({"packets": 0, "payload_bytes": 0}, "throughput", "FAIL", "0.0 kB/s", "nothing came"),
        ({"mtu": 158}, "mtu", "WARN", "158 bytes", "accept 247"),
        ({"mtu": 47}, "mtu", "FAIL", "47 bytes", "accept 247"),
        ({"phy": 1}, "phy", "WARN", "1M", "ask for 2M"),
        ({"phy": 3}, "phy", "FAIL", "coded", "ask for 2M"),
        ({"phy": 0}, "phy", "FAIL", "unknown (0)", "ask for 2M"),
        ({"interval_ms": 50.0}, "interval", "WARN", "50 ms", "conn_min_interval"),
        ({"interval_ms": 400.0}, "interval", "FAIL", "400 ms", "conn_min_interval"),
        ({"battery_percent": 19}, "battery", "WARN", "19 %", "charge"),
        ({"battery_percent": 4}, "battery", "FAIL", "4 %", "charge"),
        ({"lead_off": (3,)}, "contact", "WARN", "electrode 3 had none", "under electrode 3;"),
        ({"lead_off": (3, 11)}, "contact", "WARN", "electrodes 3 and 11 had none", "electrodes 3 and 11;"),
        ({"lead_off": tuple(range(9))}, "contact", "FAIL", "electrodes 0, 1, 2, 3", "6, 7 and 8;"),
        ({"codec": Codec.RAW16}, "codec", "WARN", "raw16", "rice12"),
    ],
)
def test_each_fault_is_named_for_its_band_alone(changes, check, severity, figure, advice):
    facts = heard(link("left"), link("right", **changes))
    found = [f for f in judge(facts, "linux") if f.severity and f.check != "airtime"]
    assert [(f.check, f.severity.name, f.side) for f in found] == [(check, severity, "right")]
    assert figure in found[0].figure
    assert advice in found[0].advice


def test_advice_on_the_interval_is_for_the_system_at_hand():
    facts = heard(link(interval_ms=50.0))
    (linux,) = [f for f in judge(facts, "linux") if f.check == "interval"]
    (windows,) = [f for f in judge(facts, "win32") if f.check == "interval"]
    assert "debug/bluetooth" in linux.advice
    assert "debug/bluetooth" not in windows.advice


@pytest.mark.parametrize(("share", "severity"), [(0.005, None), (0.02, "WARN"), (0.2, "FAIL")])
def test_loss_is_what_the_samples_say(share, severity):
    valid = np.ones((SAMPLES, 2), np.bool_)
    valid[: round(share * SAMPLES), 0] = False
    found = {o for o in objections(heard(valid=valid)) if o[0] == "loss"}
    assert found == ({("loss", severity, "left")} if severity else set())


def test_contact_that_was_lost_for_a_moment_is_remembered():
    facts = heard(ever_off=(frozenset({7}), frozenset()))
    assert objections(facts) == {("contact", "WARN", "left")}


def test_both_bands_share_the_air():
    heavy = {"packets": 2300, "payload_bytes": 2300 * 60}
    assert "airtime" not in {check for check, *_ in objections(heard(link(**heavy)))}
    assert ("airtime", "WARN", None) in objections(heard(link(**heavy), link("right", **heavy)))


@pytest.mark.parametrize(
    ("passed_s", "severity"), [(None, None), (4.0, None), (4.5, None), (4.6, "WARN"), (6.1, "FAIL")]
)
def test_samples_that_come_later_and_later_are_named(passed_s, severity):
    """Each of them may have come: what is behind has not been lost yet."""
    facts = heard(passed_s=passed_s)
    assert objections(facts) == ({("delay", severity, None)} if severity else set())
    figures = [finding.figure for finding in judge(facts) if finding.check == "delay"]
    assert figures == ([] if passed_s is None else [f"4.0 s of samples in {passed_s:.1f} s"])


def test_reconnects_after_packets_that_were_refused_are_not_the_radios_alone():
    facts = heard(link(reconnects=1, refused=200, refusals=(("CRC", 200),)))
    (advice,) = [finding.advice for finding in judge(facts) if finding.check == "reconnects"]
    assert advice.startswith("do first what is said of refused")


def test_a_lost_connection_fails_whatever_else_was_good():
    findings = judge(heard(lost="the left band disconnected; bring it near"))
    assert (findings[0].check, findings[0].severity) == ("connection", Severity.FAIL)
    assert "disconnected" in findings[0].advice


def test_a_source_without_a_radio_is_judged_by_its_samples():
    emg_uv = noise_uv(SAMPLES)
    emg_uv[:, 1, 4] = 0
    facts = Heard(INFO, np.arange(SAMPLES) / RATE_HZ, emg_uv, np.ones((SAMPLES, 2), np.bool_))
    assert {f.check for f in judge(facts)} == {"loss", "flat", "signal"}
    assert objections(facts) == {("flat", "WARN", "right"), ("signal", "WARN", "right")}


def test_nothing_heard_is_a_failure_and_no_error():
    facts = gather(INFO, [])
    assert ("loss", "FAIL", "left") in objections(facts._replace(lost="gone"))


def test_chunks_become_one():
    whole = noise_uv(100)
    chunks = [
        SampleChunk(at, np.arange(at, at + 50) / RATE_HZ, whole[at : at + 50], np.ones((50, 2), np.bool_))
        for at in (0, 50)
    ]
    np.testing.assert_array_equal(gather(INFO, chunks).emg_uv, whole)


@given(
    st.builds(
        link,
        packets=st.integers(0, 5000),
        payload_bytes=st.integers(0, 10**6),
        duplicates=st.integers(0, 10**4),
        refused=st.integers(0, 10**4),
        mtu=st.integers(0, 517),
        phy=st.integers(0, 255),
        interval_ms=st.floats(0, 4000),
        battery_percent=st.none() | st.integers(0, 100),
        received_samples=st.integers(0, 10**6),
        codec=st.sampled_from(Codec),
    )
)
def test_whatever_a_link_says_every_objection_has_advice(stats):
    facts = Heard(INFO, np.zeros(0), np.zeros((0, 2, 16), np.float32), np.zeros((0, 2), np.bool_), (stats,))
    for finding in judge(facts._replace(ever_off=(frozenset(),))):
        assert bool(finding.advice) == bool(finding.severity)


@pytest.mark.parametrize("seconds", [3, 10])
def test_mains_are_looked_for_where_there_is_enough_to_tell_them(seconds):
    time_s = np.arange(seconds * RATE_HZ) / RATE_HZ
    emg_uv = noise_uv(len(time_s)) + 500 * np.sin(2 * np.pi * 50 * time_s)[:, None, None].astype(np.float32)
    facts = Heard(INFO, time_s, emg_uv, np.ones((len(time_s), 2), np.bool_))
    assert ("mains" in {finding.check for finding in judge(facts)}) == (seconds == 10)
