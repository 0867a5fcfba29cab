"""Opening a bundle: whatever is not exactly what was signed is refused, with a sentence of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edge.bundle import BundleRefused, OpenBundle, Refusal, open_bundle, read_bundle, verify_bundle
from edge.bundle.manifest import FILE_NAME, MAX_MANIFEST_BYTES, SIGNATURE_NAME
from edge.errors import BadInput
from edge.signing import SigningKey
from edge.trust import TrustedKey, TrustStore
from tests.edge.bundle.making import PLAIN, PROGRAM, document, make_model, pack, plain_files, sign, write


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "keys")


@pytest.fixture
def folder(tmp_path: Path, trust: TrustStore) -> Path:
    return pack(tmp_path / "bundle", trust)


def refusal(act: Callable[[], object]) -> BundleRefused:
    with pytest.raises(BundleRefused) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert ";" in sentence  # what to do next
    return caught.value


def test_a_good_bundle_opens_with_the_bytes_that_were_signed(folder: Path, trust: TrustStore) -> None:
    bundle = open_bundle(folder, trust, user="ada")
    assert dict(bundle.contents) == plain_files()
    assert bundle.model == make_model()
    assert bundle.manifest.counter == 3
    assert bundle.signer.key == trust.signing_key().public


def test_what_is_used_is_what_was_hashed(folder: Path, trust: TrustStore) -> None:
    bundle = open_bundle(folder, trust)
    (folder / "model.tflite").write_bytes(b"swapped after the check")
    assert bundle.contents["model.tflite"] == PROGRAM
    with pytest.raises(TypeError):
        bundle.contents["model.tflite"] = b"x"  # type: ignore[index]


def _remove(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def _rewrite(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        before = (folder / path).read_bytes() if (folder / path).exists() else b""
        write(folder, {path: change(before)})

    return rewrite


SPOILT: dict[str, tuple[Callable[[Path], Any], Refusal, str]] = {
    "no folder": (shutil.rmtree, Refusal.NOT_A_BUNDLE, "no folder"),
    "no manifest": (_remove(FILE_NAME), Refusal.NOT_A_BUNDLE, "holds no manifest.json"),
    "no signature": (_remove(SIGNATURE_NAME), Refusal.UNSIGNED, "is unsigned"),
    "short signature": (_rewrite(SIGNATURE_NAME, lambda b: b[:-1]), Refusal.WRONG_SIGNATURE, "not hold"),
    "long signature": (_rewrite(SIGNATURE_NAME, lambda b: b + b"\0"), Refusal.ALTERED_FILE, "than the 64"),
    "manifest and a line": (_rewrite(FILE_NAME, lambda b: b + b"\n"), Refusal.WRONG_SIGNATURE, "not hold"),
    "huge manifest": (
        _rewrite(FILE_NAME, lambda b: b + b" " * MAX_MANIFEST_BYTES),
        Refusal.ALTERED_FILE,
        "more than the 1,048,576",
    ),
    "altered": (_rewrite("model.tflite", lambda b: b[:-1] + b"X"), Refusal.ALTERED_FILE, "is not the file"),
    "truncated": (_rewrite("model.tflite", lambda b: b[:5]), Refusal.TRUNCATED_FILE, "ends after 5 of"),
    "grown": (_rewrite("model.tflite", lambda b: b + b"X"), Refusal.ALTERED_FILE, "holds more than"),
    "missing": (_remove("golden/index.json"), Refusal.MISSING_FILE, "lacks golden/index.json"),
    "extra": (_rewrite("golden/more.bin", lambda b: b), Refusal.EXTRA_FILE, "holds golden/more.bin"),
    "hidden extra": (_rewrite(".DS_Store", lambda b: b), Refusal.EXTRA_FILE, "holds .DS_Store"),
    "extra folder": (lambda folder: (folder / "empty").mkdir(), Refusal.EXTRA_FILE, "holds empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_what_was_changed_is_refused_by_its_name(folder: Path, trust: TrustStore, case: str) -> None:
    spoil, reason, words = SPOILT[case]
    spoil(folder)
    refused = refusal(lambda: open_bundle(folder, trust))
    assert refused.reason is reason
    assert words in str(refused)
    lineage_untouched = TrustStore(trust.root).forget_user("ada")
    assert lineage_untouched == 0  # what is refused is not remembered


def test_a_folder_in_place_of_a_file_is_refused(folder: Path, trust: TrustStore) -> None:
    (folder / "model.tflite").unlink()
    (folder / "model.tflite").mkdir()
    assert refusal(lambda: open_bundle(folder, trust)).reason is Refusal.MALFORMED


@pytest.mark.skipif(os.name == "nt", reason="Windows gives links to administrators only, and has no pipes")
@pytest.mark.parametrize("name", ["model.tflite", "golden", "manifest.json", "manifest.sig", "extra"])
def test_links_are_refused_even_to_the_same_bytes(
    tmp_path: Path, folder: Path, trust: TrustStore, name: str
) -> None:
    if (folder / name).exists():
        (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert refusal(lambda: open_bundle(folder, trust)).reason in (Refusal.LINK, Refusal.MALFORMED)
    (tmp_path / "link").symlink_to(folder)
    assert refusal(lambda: open_bundle(tmp_path / "link", trust)).reason is Refusal.NOT_A_BUNDLE


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
@pytest.mark.parametrize("name", ["model.tflite", "manifest.json", "manifest.sig"])
def test_a_pipe_is_refused_and_not_waited_for(folder: Path, trust: TrustStore, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert refusal(lambda: open_bundle(folder, trust)).reason is Refusal.MALFORMED


def test_keys_unknown_and_forged(tmp_path: Path, folder: Path, trust: TrustStore) -> None:
    mallory = SigningKey.generate()
    sign(folder, document(mallory, plain_files()), mallory)  # says so itself
    unknown = refusal(lambda: open_bundle(folder, trust))
    assert unknown.reason is Refusal.UNKNOWN_KEY
    assert mallory.public.id[:12] in str(unknown)
    sign(folder, document(trust.signing_key(), plain_files()), mallory)  # says that we did
    assert refusal(lambda: open_bundle(folder, trust)).reason is Refusal.WRONG_SIGNATURE
    (folder / FILE_NAME).write_bytes(b"{")
    assert refusal(lambda: open_bundle(folder, trust)).reason is Refusal.WRONG_SIGNATURE
    nobody = TrustStore(tmp_path / "nobody")
    pack(folder, trust)
    assert refusal(lambda: open_bundle(folder, nobody)).reason is Refusal.UNKNOWN_KEY
    sign(folder, document(mallory, plain_files()), mallory)
    trust.trust("mallory", mallory.public)
    assert open_bundle(folder, trust).signer.name == "mallory"


def test_the_key_it_names_must_be_the_key_that_signed(folder: Path, trust: TrustStore) -> None:
    """Else a trusted key could borrow another one's counters."""
    other = SigningKey.generate()
    trust.trust("other", other.public)
    sign(folder, document(trust.signing_key(), plain_files()), other)
    assert refusal(lambda: open_bundle(folder, trust)).reason is Refusal.MALFORMED


def test_an_older_counter_is_refused_once_a_newer_was_used(tmp_path: Path, trust: TrustStore) -> None:
    old, new = pack(tmp_path / "old", trust, counter=3), pack(tmp_path / "new", trust, counter=4)
    open_bundle(old, trust)
    verify_bundle(new, trust)
    open_bundle(old, trust)  # verifying uses nothing
    open_bundle(new, trust)
    open_bundle(new, trust)
    for act in (open_bundle, verify_bundle):
        refused = refusal(lambda act=act: act(old, trust))  # type: ignore[misc]
        assert refused.reason is Refusal.OLDER_COUNTER
        assert "has the counter 3, and 4 of ada" in str(refused)
    assert read_bundle(old, trust.trusted()).manifest.counter == 3  # to compare
    open_bundle(pack(tmp_path / "mcu", trust, counter=1, target="mcu"), trust)
    eve = make_model(user="eve")
    open_bundle(pack(tmp_path / "eve", trust, plain_files(eve), user="eve", counter=1), trust)


def test_a_bundle_of_somebody_else_is_refused_where_a_user_is_named(folder: Path, trust: TrustStore) -> None:
    refused = refusal(lambda: open_bundle(folder, trust, user="eve"))
    assert refused.reason is Refusal.WRONG_USER
    assert "user 'ada', not of 'eve'" in str(refused)


SIGNED_AND_WRONG: dict[str, tuple[dict[str, Any], Refusal, str]] = {
    "newer schema": ({"schema_version": 2, "flavour": "new"}, Refusal.NEWER_SCHEMA, "bundle of schema 2"),
    "no schema": ({"schema_version": None}, Refusal.MALFORMED, "schema_version"),
    "schema zero": ({"schema_version": 0}, Refusal.MALFORMED, "schema_version"),
    "another format": ({"format": "firmware"}, Refusal.MALFORMED, "format"),
    "another charset": ({"charset_sha256": "0" * 64}, Refusal.CHARSET_MISMATCH, "another charset"),
    "unknown field": ({"note": "hello"}, Refusal.MALFORMED, "note"),
    "bad user": ({"user": "../eve"}, Refusal.MALFORMED, "cannot be a user"),
    "another user than its model": ({"user": "eve"}, Refusal.MALFORMED, "of another user"),
    "hides that it is simulated": ({"simulated": False}, Refusal.MALFORMED, "of another user, or of other"),
    "counter zero": ({"counter": 0}, Refusal.MALFORMED, "counter"),
    "counter too large": ({"counter": 2**60}, Refusal.MALFORMED, "counter"),
    "unknown target": ({"target": "toaster"}, Refusal.MALFORMED, "target"),
    "no files": ({"files": {}}, Refusal.EXTRA_FILE, "does not list"),
}  # fmt: skip


@pytest.mark.parametrize("case", SIGNED_AND_WRONG)
def test_a_good_signature_does_not_excuse_a_bad_manifest(folder: Path, trust: TrustStore, case: str) -> None:
    changes, reason, words = SIGNED_AND_WRONG[case]
    pack(folder, trust, **changes)
    refused = refusal(lambda: open_bundle(folder, trust))
    assert refused.reason is reason
    assert words in str(refused)


ENTRY = {"sha256": "0" * 64, "bytes": 1, "role": "golden"}


@pytest.mark.parametrize(
    "files",
    [
        {"../outside": ENTRY},
        {"/etc/passwd": ENTRY},
        {"a\\..\\b": ENTRY},
        {"golden/x": ENTRY, "GOLDEN/x": ENTRY},
        {"Manifest.JSON": ENTRY},
        {"manifest.sig": ENTRY},
        {"a": {**ENTRY, "bytes": 2**40}},
        {"a": {**ENTRY, "bytes": -1}},
        {f"f{n}": {**ENTRY, "bytes": 2**26} for n in range(5)},
        {f"f{n}": ENTRY for n in range(1001)},
        {"a": {**ENTRY, "sha256": "0" * 63}},
        {"a": {**ENTRY, "sha256": "G" * 64}},
        {"a": {**ENTRY, "role": "virus"}},
    ],
)
def test_files_that_cannot_be_are_refused_before_any_is_read(
    folder: Path, trust: TrustStore, files: dict[str, Any]
) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    key = trust.signing_key()
    sign(folder, document(key, {}) | {"files": files}, key)
    assert refusal(lambda: open_bundle(folder, trust)).reason is Refusal.MALFORMED


def test_model_json_must_agree_with_the_manifest(folder: Path, trust: TrustStore) -> None:
    def refused(files: dict[str, bytes]) -> str:
        shutil.rmtree(folder)
        answer = refusal(lambda: open_bundle(pack(folder, trust, files), trust))
        assert answer.reason is Refusal.MALFORMED
        return str(answer)

    assert "lists no model.json" in refused(dict(PLAIN))
    assert "model.json: " in refused({**PLAIN, "model.json": b"{}"})
    assert "another model.tflite" in refused({**plain_files(), "model.tflite": b"not what model.json lists"})
    without = plain_files()
    del without["model.tflite"]
    assert "another model.tflite" in refused(without)


def test_every_byte_of_manifest_and_signature_counts(folder: Path, trust: TrustStore) -> None:
    """Each byte once, another bit each time; and the whole byte turned over."""
    trusted = trust.trusted()
    rejected = tried = 0
    for name in (FILE_NAME, SIGNATURE_NAME):
        good = (folder / name).read_bytes()
        for at in range(len(good)):
            for mask in (1 << at % 8, 0xFF):
                (folder / name).write_bytes(good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :])
                tried += 1
                rejected += _refused(folder, trusted)
        (folder / name).write_bytes(good)
    assert rejected == tried > 2000
    assert isinstance(open_bundle(folder, trust), OpenBundle)


def test_every_byte_and_every_length_of_the_files_counts(folder: Path, trust: TrustStore) -> None:
    trusted = trust.trusted()
    for path, good in plain_files().items():
        step = max(1, len(good) // 50)
        for at in range(0, len(good), step):
            for bad in (good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :], good[:at]):
                (folder / path).write_bytes(bad)
                assert _refused(folder, trusted), (path, at)
        (folder / path).write_bytes(good)
    assert isinstance(open_bundle(folder, trust), OpenBundle)


def _refused(folder: Path, trusted: Sequence[TrustedKey]) -> bool:
    try:
        read_bundle(folder, trusted)
    except BundleRefused:
        return True
    return False


def test_an_artifact_that_is_not_there_is_named(folder: Path, trust: TrustStore) -> None:
    bundle = open_bundle(folder, trust)
    assert bundle.artifact("litert").file == "model.tflite"
    with pytest.raises(BadInput, match=r"no model for executorch \(it has: litert\)"):
        bundle.artifact("executorch")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"at_least": "99"}, Refusal.RUNTIME_TOO_OLD),
        ({"at_least": "0.1", "below": "0.2"}, Refusal.RUNTIME_TOO_NEW),
    ],
)
def test_a_runtime_of_another_age_is_refused_before_it_loads(
    folder: Path, trust: TrustStore, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, str], reason: Refusal
) -> None:
    monkeypatch.setattr("edge.bundle.opening.installed", lambda _: "2.3.0")
    pack(folder, trust, runtimes={"litert": wanted})
    bundle = open_bundle(folder, trust)
    assert refusal(lambda: bundle.runtime(bundle.artifact("litert"))).reason is reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    field=st.sampled_from(sorted(document(SigningKey(bytes(32)), plain_files()))),
    value=JSON,
    signed=st.booleans(),
)
def test_whatever_stands_in_a_manifest_gives_a_sentence(
    folder: Path, trust: TrustStore, field: str, value: Any, signed: bool
) -> None:
    key = trust.signing_key()
    good = document(key, plain_files())
    assume(value != good[field])
    sign(folder, good | {field: value}, key)
    if not signed:
        (folder / SIGNATURE_NAME).write_bytes(bytes(64))
    if field in ("counter", "created", "qwrist_version", "runtimes") and _readable(folder, trust):
        return  # any text, number or range will do
    refusal(lambda: read_bundle(folder, trust.trusted()))


def _readable(folder: Path, trust: TrustStore) -> bool:
    return not _refused(folder, trust.trusted())


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"schema_version": 1e999}',
        b"NaN",
        b'"' * 999,
    ],
)
def test_what_is_no_json_gives_a_sentence(
    folder: Path, trust: TrustStore, content: bytes, signed: bool
) -> None:
    (folder / FILE_NAME).write_bytes(content)
    signature = trust.signing_key().sign(content) if signed else bytes(64)
    (folder / SIGNATURE_NAME).write_bytes(signature)
    expected = Refusal.MALFORMED if signed else Refusal.WRONG_SIGNATURE
    assert refusal(lambda: read_bundle(folder, trust.trusted())).reason is expected
