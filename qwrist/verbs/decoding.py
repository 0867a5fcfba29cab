"""How emissions become keys, as the command line says it: greedily, or by a beam with a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from edge.beam import Beam
from edge.decoder import Decoder, Greedy
from edge.errors import BadInput
from edge.features import FRAME_RATE_HZ
from edge.lm import LanguageModel, english, read_model, read_words, with_vocabulary

REVISION_S: Final = 1.0  # docs/decisions/0009: half of it loses 1 to 4 points of CER, twice gains at most one
ENGLISH: Final = "english"

BeamOption = Annotated[
    int | None, typer.Option("--beam", help="Hypotheses of the beam search (default: 50; 1 to 1000).")
]
LmOption = Annotated[
    str | None,
    typer.Option("--lm", help="A language model: english (the default), or a file of `qwrist lm build`."),
]
NoLm = Annotated[bool, typer.Option("--no-lm", help="No language model; without --beam, greedy.")]
VocabularyOption = Annotated[Path | None, typer.Option(help="A file of your own words, one a line.")]


def decoder_for(
    stride: int, beam: int | None, lm: str | None, vocabulary: Path | None, *, no_lm: bool
) -> Decoder:
    """The decoder that the options name, for a network of `stride` frames an emission. Raises BadInput."""
    if no_lm and (lm is not None or vocabulary is not None):
        raise BadInput("--no-lm goes with neither --lm nor --vocabulary; leave one of them out")
    if no_lm and beam is None:
        return Greedy()
    model = None if no_lm else _language_model(lm or ENGLISH, vocabulary)
    window = round(REVISION_S * FRAME_RATE_HZ / stride)
    return Beam(model, window=window) if beam is None else Beam(model, width=beam, window=window)


def _language_model(name: str, vocabulary: Path | None) -> LanguageModel:
    model = english() if name == ENGLISH else read_model(Path(name))
    return model if vocabulary is None else with_vocabulary(model, read_words(vocabulary))
