"""The product as a story: somebody records, personalises, exports, proves, types, and leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.manifest import read_manifest
from edge.scoring import score
from edge.session import read_session, write_session
from edge.store import UserStore
from simulate.recording import to_session
from simulate.wearer import Wearer
from tests.conftest import Run

WEARER = 3  # a simulated person that the base has never met
USER = ("--user", "ada")


@pytest.mark.timeout(900)  # a minute of work, on a machine that may have other
def test_from_two_wristbands_to_text(run: Run, home: Path) -> None:
    # Ada has worn the bands twice already; the files could as well be emg2qwerty's.
    ada = UserStore(home).create("ada")
    for donning, seconds in enumerate((75, 40)):
        recording = to_session(Wearer(WEARER).perform(donning, duration_s=seconds), user="ada")
        write_session(ada.session_path(ada.new_session_name()), recording)

    # Today she records over Bluetooth. It is her last recording, so it only tests.
    enrolled = run("enroll", *USER, "--band", f"sim:wearer={WEARER}", "--minutes", "0.4", "--json")
    recorded = json.loads(enrolled.out)
    assert (enrolled.code, recorded["missing_percent"]) == (0, 0)
    today = read_session(Path(recorded["session"]))
    assert len(today.keys) == recorded["keys"]

    # The decoder is fitted to her, from the base that has only met other people.
    fitted = run("personalize", *USER, "--steps", "40", "--json")
    report = json.loads(fitted.out)
    assert fitted.code == 0
    assert [part["role"] for part in report["parts"]] == ["train", "validation", "test"]
    assert report["test"]["percent"] < report["test_before"]["percent"]
    folder = Path(report["folder"])

    # It is exported for both runtimes, and both say what the desk says.
    assert run("export", *USER).code == 0
    assert [artifact.runtime for artifact in read_manifest(folder).artifacts] == ["executorch", "litert"]
    proof = json.loads(run("parity", *USER, "--json").out)
    assert proof["failures"] == []
    assert all(figures["identical_text"] for one in proof["runtimes"] for figures in one["figures"])

    # Decoding the recording as if live makes the errors that evaluating it made, whatever runs the network.
    counts = [
        {name: json.loads(run("evaluate", *USER, "--runtime", runtime, "--json").out)[name] for name in CER}
        for runtime in ("torch", "executorch", "litert")
    ]
    assert counts[0] == counts[1] == counts[2]
    replayed = json.loads(run("replay", recorded["session"], *USER, "--json").out)
    assert replayed["cer_percent"] == round(100 * sum(counts[0].values()) / report["test"]["length"], 2)

    # She types: another donning, the same link, never seen by anything above.
    typed = json.loads(run("type", *USER, "--band", f"sim:wearer={WEARER}", "--seconds", "12", "--json").out)
    assert typed["keys"] > 10
    assert score(typed["typed"], typed["text"]).percent < 90

    # A decoder that is not hers is noticed before it runs: one flipped bit is enough.
    model = folder / "model.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    refused = run("type", *USER, "--band", f"sim:wearer={WEARER}", "--seconds", "1")
    assert refused.code == 2
    assert "SHA-256" in refused.err

    # And when she leaves, nothing of her stays.
    assert run("forget", *USER, "--yes").code == 0
    assert not [path for path in home.rglob("*") if path.is_file()]


CER = ("insertions", "deletions", "substitutions")
