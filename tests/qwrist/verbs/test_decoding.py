"""Options of decoding: what they name, and what goes together."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.beam import Beam
from edge.decoder import Greedy
from edge.errors import BadInput
from edge.lm import Weighted, build, write_model
from edge.lm.vocabulary import WithVocabulary
from qwrist.verbs.decoding import decoder_for


def test_the_default_is_a_beam_with_english() -> None:
    decoder = decoder_for(2, None, None, None, no_lm=False)
    assert isinstance(decoder, Beam)
    assert decoder.lm is not None
    assert (decoder.width, decoder.window) == (50, 62)  # 1 s at 62.5 emissions/s
    assert decoder_for(1, None, None, None, no_lm=False).window == 125


def test_without_a_language_model_it_is_greedy_unless_a_beam_is_asked_for() -> None:
    assert isinstance(decoder_for(2, None, None, None, no_lm=True), Greedy)
    decoder = decoder_for(2, 7, None, None, no_lm=True)
    assert isinstance(decoder, Beam)
    assert (decoder.width, decoder.lm) == (7, None)


def test_a_file_and_a_vocabulary_are_read(tmp_path: Path) -> None:
    write_model(tmp_path / "mine.qlm", build([Weighted("mine, all mine. " * 20)], order=3).model)
    (tmp_path / "words.txt").write_text("qwrist\n")
    decoder = decoder_for(2, None, str(tmp_path / "mine.qlm"), tmp_path / "words.txt", no_lm=False)
    assert isinstance(decoder, Beam)
    assert isinstance(decoder.lm, WithVocabulary)


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--no-lm goes with neither"):
        decoder_for(2, None, "english", None, no_lm=True)
    with pytest.raises(BadInput, match="--no-lm goes with neither"):
        decoder_for(2, None, None, tmp_path / "words.txt", no_lm=True)
    with pytest.raises(BadInput, match="cannot be read"):
        decoder_for(2, None, "klingon", None, no_lm=False)
    with pytest.raises(BadInput, match="width is 0"):
        decoder_for(2, 0, None, None, no_lm=False)
