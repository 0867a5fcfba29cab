"""Writing a bundle: what is written opens, and whatever goes wrong leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.bundle import BundleRefused, open_bundle
from edge.bundle.manifest import MAX_FILE_BYTES
from edge.errors import BadInput
from edge.trust import TrustStore
from export.bundle import writing_bundle
from tests.edge.bundle.making import make_model, plain_files, write


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "home" / "keys")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def make(destination: Path, trust: TrustStore) -> Path:
    with writing_bundle(destination, "phone", trust) as folder:
        write(folder, plain_files())
    return destination


def test_what_is_written_opens(out: Path, trust: TrustStore) -> None:
    with writing_bundle(out / "ada-phone", "phone", trust) as folder:
        assert not (out / "ada-phone").exists()
        write(folder, plain_files())
        write(folder, {"samples/cpp/main.cpp": b"", "model.bpte": b"x", "report.json": b"{}"})
    bundle = open_bundle(out / "ada-phone", trust, user="ada")
    roles = {path: file.role for path, file in bundle.manifest.files.items()}
    assert roles == {
        "MODEL_CARD.md": "card",
        "golden/index.json": "golden",
        "golden/typing/samples.bin": "golden",
        "model.bpte": "golden",
        "model.json": "model",
        "model.tflite": "artifact",
        "report.json": "report",
        "samples/cpp/main.cpp": "sample",
    }
    assert bundle.manifest.target == "phone"
    assert bundle.manifest.simulated
    assert set(bundle.manifest.runtimes) == {"litert"}
    assert list(out.iterdir()) == [out / "ada-phone"]


def test_each_bundle_counts_one_more(out: Path, trust: TrustStore) -> None:
    counters = [open_bundle(make(out / f"b{n}", trust), trust).manifest.counter for n in range(3)]
    assert counters == [1, 2, 3]
    with pytest.raises(BundleRefused, match="has the counter 1, and 3 of ada"):
        open_bundle(out / "b0", trust)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_bundle_is_private_until_it_is_given_away(out: Path, trust: TrustStore) -> None:
    folder = make(out / "b", trust)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}


@pytest.mark.parametrize("error", [BadInput("parity failed"), KeyboardInterrupt(), OSError("no room")])
def test_an_interruption_leaves_nothing(out: Path, trust: TrustStore, error: BaseException) -> None:
    def interrupted() -> None:
        with writing_bundle(out / "b", "phone", trust) as folder:
            write(folder, plain_files())
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert list(out.iterdir()) == []
    assert make(out / "b", trust).is_dir()


@pytest.mark.parametrize("moment", ["next_counter", "_sign", "_make_lasting"])
def test_a_failure_while_sealing_leaves_nothing(
    out: Path, trust: TrustStore, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    where = "edge.trust.TrustStore" if moment == "next_counter" else "export.bundle.writing"
    monkeypatch.setattr(f"{where}.{moment}", fail)
    with pytest.raises(KeyboardInterrupt):
        make(out / "b", trust)
    assert list(out.iterdir()) == []


_WRITE = """
import sys, time
from pathlib import Path
from edge.trust import TrustStore
from export.bundle import writing_bundle
from tests.edge.bundle.making import plain_files, write
with writing_bundle(Path(sys.argv[1]), "phone", TrustStore(Path(sys.argv[2]))) as folder:
    write(folder, plain_files())
    print("filled", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock a folder: what a killed writer left stays")
def test_what_a_killed_writer_left_is_no_bundle_and_goes_with_the_next(out: Path, trust: TrustStore) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITE, str(out / "b"), str(trust.root)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"filled\n"
    assert not (out / "b").exists()
    make(out / "c", trust)  # a living writer is left alone
    assert sorted(p.name.split("unfinished")[0] for p in out.iterdir()) == [".b.", "c"]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert not (out / "b").exists()
    make(out / "b", trust)
    assert sorted(p.name for p in out.iterdir()) == ["b", "c"]


def test_an_existing_folder_is_never_replaced(out: Path, trust: TrustStore) -> None:
    before = (make(out / "b", trust) / "manifest.json").read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        make(out / "b", trust)
    assert (out / "b" / "manifest.json").read_bytes() == before
    with pytest.raises(BadInput, match="is no folder"):
        make(out / "nowhere" / "b", trust)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("notes.txt", "notes.txt has no place in a bundle"),
        ("golden/a b", "'golden/a b' must be names of letters"),
        ("other/x", "other/x has no place"),
        ("manifest.json", "manifest.json has no place"),
    ],
)
def test_what_does_not_belong_is_refused(out: Path, trust: TrustStore, path: str, words: str) -> None:
    with pytest.raises(BadInput, match=words), writing_bundle(out / "b", "phone", trust) as folder:
        write(folder, {**plain_files(), path: b""})
    assert list(out.iterdir()) == []


def _link(folder: Path) -> None:
    (folder / "golden" / "link").symlink_to(folder / "model.json")


def _giant(folder: Path) -> None:
    with (folder / "golden" / "huge.bin").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)


@pytest.mark.parametrize(
    ("add", "words"), [(_link, "a bundle holds plain files only"), (_giant, "at most 67,108,864")]
)
def test_links_and_giants_are_refused(
    out: Path, trust: TrustStore, add: Callable[[Path], None], words: str
) -> None:
    def attempt() -> None:
        with writing_bundle(out / "b", "phone", trust) as folder:
            write(folder, plain_files())
            add(folder)

    with pytest.raises(BadInput, match=words):
        attempt()
    assert list(out.iterdir()) == []


def test_what_would_not_open_is_not_written(out: Path, trust: TrustStore) -> None:
    with pytest.raises(BadInput, match=r"holds no model\.json"), writing_bundle(out / "b", "phone", trust):
        pass
    with (
        pytest.raises(BundleRefused, match=r"another model\.tflite"),
        writing_bundle(out / "b", "phone", trust) as folder,
    ):
        write(folder, {**plain_files(), "model.tflite": b"another program"})
    assert list(out.iterdir()) == []


def test_the_manifest_says_what_it_was_made_of(out: Path, trust: TrustStore) -> None:
    with writing_bundle(out / "b", "mcu", trust) as folder:
        write(folder, plain_files(make_model(simulated=False)))
    manifest = json.loads((make_path := out / "b" / "manifest.json").read_bytes())
    assert make_path.read_bytes().endswith(b"}")
    assert (manifest["target"], manifest["user"], manifest["simulated"]) == ("mcu", "ada", False)
    assert manifest["key"] == trust.signing_key().public.id
    assert manifest["files"]["golden/typing/samples.bin"]["bytes"] == 64
