"""Files: what is written is read; what is no whole model is refused in one sentence."""

from __future__ import annotations

import struct
import tomllib
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.lm import NgramModel, Weighted, build, english, read_model, write_model
from edge.lm.symbols import symbols_of
from tests.edge.making import shared_data

MODEL = build(
    [Weighted("peter piper picked a peck of pickled peppers. " * 4)], order=5, note="tongue ☂"
).model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(tmp_path / "peter.qlm", MODEL)
    return tmp_path / "peter.qlm"


def same(one: NgramModel, other: NgramModel) -> bool:
    return one.note == other.note and all(
        np.array_equal(a, b, equal_nan=True)
        for grams, others in zip(one.orders, other.orders, strict=True)
        for a, b in zip(grams, others, strict=True)
    )


def test_what_is_written_is_read(path: Path) -> None:
    assert same(read_model(path), MODEL)


def test_its_size_is_a_few_bytes_an_n_gram(tmp_path: Path) -> None:
    text = shared_data("text/wikitext2_valid.txt").read_text(encoding="utf-8")[:200_000]
    model = build([Weighted(text)], order=6).model
    size = write_model(tmp_path / "wiki.qlm", model)
    assert size == (tmp_path / "wiki.qlm").stat().st_size
    assert size < 2.5 * sum(len(grams.codes) for grams in model.orders)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_is_found(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lm") / "model.qlm"
    write_model(path, MODEL)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"no language model|another version|damaged|cannot be read"):
        read_model(path)


@pytest.mark.parametrize("at", range(24))
def test_damage_of_the_heading_is_found(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"no language model|another version|damaged|heading says"):
        read_model(path)


def forged(path: Path, body: bytes) -> None:
    head = path.read_bytes()[:16]
    path.write_bytes(head + struct.pack("<II", zlib.crc32(body), len(body)) + zlib.compress(body))


@pytest.mark.parametrize("cut", [0, 3, 4, 20, 60, 200])
def test_a_body_that_does_not_add_up_is_refused(path: Path, cut: int) -> None:
    body = zlib.decompress(path.read_bytes()[24:])
    forged(path, body)
    assert same(read_model(path), MODEL)
    for wrong in (
        body[:cut],
        body[: len(body) - cut - 1],
        body + b"\0",
        body[:40] + b"\xff" * 30 + body[70:],
    ):
        forged(path, wrong)
        with pytest.raises(BadInput, match=r"heading says|do not follow"):
            read_model(path)


def test_a_body_that_unpacks_without_end_is_not_unpacked(path: Path) -> None:
    head = path.read_bytes()[:16]
    path.write_bytes(head + struct.pack("<II", 0, 100) + zlib.compress(bytes(10_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="damaged"):
            read_model(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content", [b"", b"qwristLM", b"PK\x03\x04 something else", b"\\data\\\nngram 1=3\n"]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.qlm").write_bytes(content)
    with pytest.raises(BadInput, match="no language model"):
        read_model(tmp_path / "x.qlm")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_model(tmp_path / "none.qlm")
    with pytest.raises(BadInput, match="cannot be read"):
        read_model(tmp_path)


def test_the_english_that_ships_knows_english() -> None:
    model = english()
    assert "CC BY-SA" in model.note and "wordfreq" in model.note
    assert model.order == 6

    def log_p(text: str) -> float:
        state, total = model.start, 0.0
        for symbol in symbols_of(text):
            rows = model.rows(np.array([state]))
            total, state = total + float(rows.log_p[0, symbol]), int(rows.following[0, symbol])
        return total

    assert log_p("the keyboard, under your fingers. ") > log_p("teh kyeboard, udner yuor fignres. ") + 20


def test_the_licence_of_the_model_that_ships_goes_with_it() -> None:
    root = Path(__file__).resolve().parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [(root / name).read_text(encoding="utf-8") for name in project["license-files"]]
    assert any("english.qlm" in text and "CC BY-SA 4.0" in text for text in texts)
    assert "CC-BY-SA-4.0" in project["license"]
