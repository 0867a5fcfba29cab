"""`qwrist link-test` and `relay`, as a user calls them: faults of a script are named."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import contextmanager
from itertools import count

import pytest
import typer

from edge.session import write_session
from qwrist import app, ui
from qwrist.verbs import link_test as verb
from qwrist.verbs.link_test import link_test
from qwrist.verbs.relay import relay
from tests.conftest import Run
from tests.edge.making import make_session
from tests.firmware_bridge.lsl.loopback import network


@pytest.fixture
def run(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The two verbs alone."""
    application = typer.Typer()
    application.command("link-test")(link_test)
    application.command("relay")(relay)
    monkeypatch.setattr(app, "app", application)
    return run


GOOD = ["link-test", "--seconds", "2", "--json"]


def objections(answer):
    return {(f["check"], f["side"]) for f in json.loads(answer.out)["findings"] if f["severity"] != "ok"}


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ("{what: loss, at_s: 0.2, for_s: 5, percent: 30, side: left}", ("loss", "left")),
        ("{what: duplicate, at_s: 0.2, for_s: 5, percent: 50, side: right}", ("duplicates", "right")),
        ("{what: corrupt, at_s: 0.2, for_s: 5, percent: 20, side: left}", ("refused", "left")),
        ("{what: battery, at_s: 0, percent: 3, side: right}", ("battery", "right")),
        ("{what: lead_off, at_s: 0.3, for_s: 1.3, electrodes: [2, 9], side: left}", ("contact", "left")),
        ("{what: interval, at_s: 0, interval_ms: 60, pdus: 12, side: right}", ("interval", "right")),
        ("{what: drop, at_s: 1, away_s: 0.3, side: left}", ("reconnects", "left")),
    ],
)
def test_each_fault_of_a_script_is_named(run: Run, tmp_path, event, found) -> None:
    script = tmp_path / "fault.yaml"
    script.write_text(f"name: fault\nevents:\n- {event}\n", encoding="utf-8")
    answer = run(*GOOD, "--band", f"sim:script={script}")
    assert found in objections(answer)
    assert answer.code in (0, 1)


def test_a_good_link_passes(run: Run) -> None:
    answer = run(*GOOD, "--band", "sim:mtu=247")
    assert answer.code == 0
    result = json.loads(answer.out)
    assert result["verdict"] == "ok", objections(answer)
    assert [link["mtu"] for link in result["links"]] == [247, 247]


def test_what_fails_is_said_in_words_and_in_the_exit_code(run: Run, tmp_path) -> None:
    (tmp_path / "f.yaml").write_text("name: f\nevents:\n- {what: loss, at_s: 0, for_s: 9, percent: 40}\n")
    answer = run("link-test", "--seconds", "2", "--band", f"sim:script={tmp_path / 'f.yaml'}")
    assert answer.code == 1
    assert "FAIL: not good enough" in answer.out
    assert "bring the band nearer" in answer.out


def test_what_comes_too_late_is_told_with_the_time_that_it_took(run: Run, tmp_path) -> None:
    script = "events:\n- {what: interval, at_s: 0.5, interval_ms: 2000, pdus: 1}\n"
    (tmp_path / "slow.yaml").write_text(script, encoding="utf-8")
    answer = run(*GOOD, "--band", f"sim:script={tmp_path / 'slow.yaml'}")
    assert answer.code == 1
    assert ("delay", None) in objections(answer)


def still(chunks, closed):
    """A source that gives `chunks` and then nothing any more."""

    async def source():
        try:
            for chunk in chunks:
                yield chunk
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    return source()


@pytest.mark.parametrize("now_s", [0, 9], ids=["before its time", "after it"])
def test_a_source_that_falls_silent_is_left_when_its_time_is_over(monkeypatch, now_s) -> None:
    """And what has come by then is taken."""
    monkeypatch.setattr(verb, "_LOOK_S", 0.0)
    clock, closed = count(now_s), []

    async def run():
        return [chunk async for chunk in verb._before(still("abc", closed), lambda: next(clock), 9)]

    assert asyncio.run(asyncio.wait_for(run(), 5)) == ["a", "b", "c"]
    assert closed == [True]


def test_ctrl_c_gives_the_verdict_of_what_was_heard(run: Run, monkeypatch) -> None:
    @contextmanager
    def bar(_title):
        yield lambda done, _total: signal.raise_signal(signal.SIGINT) if done >= 2 else None

    monkeypatch.setattr(ui, "progress", bar)
    answer = run("link-test", "--seconds", "6", "--band", "sim:", "--json")
    assert answer.code == 130
    result = json.loads(answer.out)
    assert (result["verdict"], result["interrupted"]) == ("ok", True)
    assert 2 <= result["seconds"] < 6
    assert "the verdict is of those" in answer.err


def test_ctrl_c_before_anything_was_heard_is_told(run: Run, monkeypatch) -> None:
    def deck(_seed):
        signal.raise_signal(signal.SIGINT)
        return iter(["hello"])

    monkeypatch.setattr(verb, "prompt_deck", deck)
    answer = run(*GOOD, "--band", "sim:")
    assert (answer.code, answer.out) == (130, "")
    assert "stopped before anything was heard" in answer.err


def test_a_recording_is_judged_by_its_samples(run: Run, tmp_path) -> None:
    write_session(tmp_path / "a.hdf5", make_session(6000))
    answer = run(*GOOD, "--band", f"file:{tmp_path / 'a.hdf5'}")
    assert (answer.code, objections(answer)) == (0, set())
    assert json.loads(answer.out)["links"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["link-test", "--seconds", "0.5"], "expected 1 to 600"),
        (["link-test", "--seconds", "inf"], "--seconds is inf"),
        (["link-test", "--seconds", "nan"], "--seconds is nan"),
        (["link-test", "--band", "sim:mtu=9"], "mtu is '9'"),
        (["link-test", "--band", "sim:script=NOPE"], "NOPE cannot be read"),
        (["relay", "--band", "sim:"], "add --seconds"),
        (["relay", "--seconds", "nan"], "--seconds is nan"),
        (["relay", "--seconds", "inf"], "--seconds is inf"),
        (["relay", "--name", ""], "--name is empty"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(run: Run, arguments, says) -> None:
    answer = run(*arguments)
    assert answer.code == 2
    assert says in answer.err
    assert answer.err.startswith("qwrist: ")  # nothing was begun


def test_relay_tells_what_it_gave_on(run: Run) -> None:
    network()
    answer = run("relay", "--band", "sim:", "--seconds", "1", "--name", "relay test", "--json")
    assert answer.code == 0
    result = json.loads(answer.out)
    assert (result["stream"], result["missing_samples"]) == ("relay test", 0)
    assert result["seconds"] >= 1
