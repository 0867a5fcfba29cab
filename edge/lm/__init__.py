"""Character language models: built from any text, one small file, read by the beam decoder."""

from edge.lm.build import Built, Weighted, build
from edge.lm.file import english, read_model, write_model
from edge.lm.ngram import LanguageModel, NgramModel
from edge.lm.vocabulary import read_words, with_vocabulary

__all__ = [
    "Built",
    "LanguageModel",
    "NgramModel",
    "Weighted",
    "build",
    "english",
    "read_model",
    "read_words",
    "with_vocabulary",
    "write_model",
]
