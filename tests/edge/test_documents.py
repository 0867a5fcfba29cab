"""JSON documents: every fault is one sentence with its place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from edge.documents import read_json
from edge.errors import BadInput


class Inner(BaseModel):
    size: int


class Document(BaseModel):
    inner: Inner


def test_a_document_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"inner": {"size": 3}}')
    assert read_json(Document, tmp_path / "a.json", "a box", "make one").inner.size == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"inner": {"size": "big"}}', r"a\.json is not a box: inner\.size: .*integer.*; make one$"),
        ('{"inner"', r"a\.json is not a box: the whole: .*; make one$"),
        ("\xff", r"a\.json is not a box: .*; make one$"),
        (None, r"holds no a\.json; make one$"),
    ],
)
def test_faults_are_one_sentence(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content, encoding="latin-1")
    with pytest.raises(BadInput, match=said) as raised:
        read_json(Document, tmp_path / "a.json", "a box", "make one")
    assert "\n" not in str(raised.value)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        read_json(Document, tmp_path / "a.json", "a box", "make one")
