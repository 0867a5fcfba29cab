"""A user's own words: names and terms that no general text holds, made likely where one has begun."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge.errors import BadInput
from edge.lm.ngram import Int64, LanguageModel, Rows
from edge.lm.symbols import BASE, BOUNDARY, BREAK, symbols_of
from edge.samples import Float32

# How much the vocabulary is believed: little where any word may begin, as much as the language model once two
# letters of one of its words stand. From there it costs any word ln 2 a letter at most.
_AT_START: Final = 0.02
_AFTER_ONE: Final = 0.1
_INSIDE: Final = 0.5
_MOST_WORDS: Final = 100_000
_OUTSIDE: Final = 0  # the state in no word of the list
_START: Final = 1  # the state at the start of a word


@dataclass(frozen=True, eq=False)
class WordList:
    """The words as a tree; each state a beginning. Words that go on are alike likely at each branch."""

    following: Int64  # (S, BASE): where a symbol leads; _OUTSIDE where no word goes on so
    log_p: Float32  # (S, BASE): -inf for what no word goes on with
    belief: Float32  # (S,): its share of a mixture

    @classmethod
    def of(cls, words: Iterable[str]) -> WordList:
        """The tree of `words`. Raises BadInput for a word that cannot be typed, or where there are none."""
        tree: list[dict[int, int]] = [{}, {}]
        depth = [0, 0]
        for word in words:
            state = _START
            for symbol in _spelling(word):
                if symbol not in tree[state]:
                    tree[state][symbol] = len(tree)
                    tree.append({})
                    depth.append(depth[state] + 1)
                state = tree[state][symbol]
            tree[state][BOUNDARY] = _START
        if not tree[_START]:
            raise BadInput("the vocabulary holds no word; write one a line, or leave it out")
        following = np.zeros((len(tree), BASE), np.int64)
        log_p = np.full((len(tree), BASE), -np.inf, np.float32)
        for state, branches in enumerate(tree):
            following[state, BOUNDARY] = _START
            for symbol, to in branches.items():
                following[state, symbol] = to
                log_p[state, symbol] = -np.log(len(branches))
        belief = np.array([(_AT_START, _AFTER_ONE)[d] if d < 2 else _INSIDE for d in depth], np.float32)
        belief[_OUTSIDE] = 0.0
        return cls(following, log_p, belief)


def _spelling(word: str) -> list[int]:
    symbols = [int(symbol) for symbol in symbols_of(word)]
    if not symbols or BREAK in symbols or BOUNDARY in symbols:
        raise BadInput(f"{word!r} is no word that this keyboard types; write one a line, without spaces")
    return symbols


@dataclass(frozen=True, eq=False)
class WithVocabulary:
    """A language model mixed with a word list; a state is a pair, numbered model x words + word."""

    model: LanguageModel
    words: WordList

    @property
    def start(self) -> int:
        """At the start of a word in both."""
        return self.model.start * len(self.words.belief) + _START

    def rows(self, states: Int64) -> Rows:
        """(1 - belief) P of the model + belief P of the words."""
        size = len(self.words.belief)
        general, place = self.model.rows(states // size), states % size
        belief = self.words.belief[place][:, None]
        with np.errstate(divide="ignore"):
            log_p = np.logaddexp(np.log1p(-belief) + general.log_p, np.log(belief) + self.words.log_p[place])
        following = general.following * size + self.words.following[place]
        log_p[:, BREAK], following[:, BREAK] = 0.0, states
        return Rows(log_p.astype(np.float32), following)


def with_vocabulary(model: LanguageModel, words: Iterable[str]) -> WithVocabulary:
    """`model`, to which `words` are likely too. Raises BadInput for a word that cannot be typed."""
    return WithVocabulary(model, WordList.of(words))


def read_words(path: Path) -> list[str]:
    """The words of a file, one a line, empty lines left out. Raises BadInput."""
    try:
        words = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}); name a file of words, one a line"
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text; write the words as text, one a line") from None
    found = [word.strip() for word in words if word.strip()]
    if not 0 < len(found) <= _MOST_WORDS:
        raise BadInput(f"{path} holds {len(found):,} words; expected 1 to {_MOST_WORDS:,}, one a line")
    return found
