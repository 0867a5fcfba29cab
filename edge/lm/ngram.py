"""A back-off character n-gram model as an automaton: a state a context, a row of successors a state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput
from edge.lm.symbols import BASE, BOUNDARY, BREAK, COUNT
from edge.samples import Float32

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

_ROWS: Final = 8192  # rows kept expanded: 8 MB, and what a page of text passes through


class Rows(NamedTuple):
    """What may follow each of n states. Column 0, the break, costs nothing and stays."""

    log_p: Float32  # (n, BASE) natural logarithms
    following: Int64  # (n, BASE) states


class LanguageModel(Protocol):
    """A probabilistic automaton over symbols."""

    @property
    def start(self) -> int:
        """The state at the start of a word, before which nothing is known."""
        ...

    def rows(self, states: Int64) -> Rows:
        """What may follow each of `states` (n,)."""
        ...


class Grams(NamedTuple):
    """The n-grams of one length, sorted: those of a context stand together, in the context's place."""

    codes: Int64  # (G,) digits of base BASE, the oldest symbol first
    log_p: Float32  # (G,) of the last symbol after those before it
    log_back_off: Float32  # (G,) weight of the shorter context where this is one; nan where it is none

    @property
    def contexts(self) -> Bool:
        """(G,): which of them are followed by something."""
        return ~np.isnan(self.log_back_off)


@dataclass(frozen=True, eq=False)
class NgramModel:
    """N-grams up to `order`; `orders[n - 1]` are those of length n. Only the longest have no contexts.

    Every context's prefixes and suffixes are contexts too, and every symbol is a 1-gram, so that each state
    has a row and its sum is 1 (but for rounding).
    """

    orders: tuple[Grams, ...]
    note: str = ""  # what it was built from, and whose that is
    _automaton: _Automaton = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_automaton", _Automaton.of(self.orders))

    @property
    def order(self) -> int:
        """The longest n-gram's length."""
        return len(self.orders)

    @property
    def contexts(self) -> int:
        """How many states there are."""
        return len(self._automaton.shorter)

    @property
    def start(self) -> int:
        """The state after a word boundary."""
        return int(self.rows(np.zeros(1, np.int64)).following[0, BOUNDARY])

    def rows(self, states: Int64) -> Rows:
        """What may follow each of `states` (n,), at most 8192 different ones."""
        return self._automaton.rows(states)


class _Cache:
    """Rows that were expanded already. They follow from the model: keeping them changes only the time."""

    def __init__(self, contexts: int) -> None:
        self._place = np.full(contexts, -1, np.int64)
        self._log_p = np.zeros((_ROWS, BASE), np.float32)
        self._following = np.zeros((_ROWS, BASE), np.int64)
        self._used = 0

    def missing(self, states: Int64) -> Int64:
        """Which of `states` are not held, each once; all of them where there is no room for the missing."""
        missing = np.unique(states[self._place[states] < 0])
        if self._used + len(missing) > _ROWS:
            self._place[:] = -1
            self._used = 0
            missing = np.unique(states)
        return missing

    def put(self, states: Int64, rows: Rows) -> None:
        """Hold the rows of states that are missing."""
        place = slice(self._used, self._used + len(states))
        self._log_p[place], self._following[place] = rows
        self._place[states] = np.arange(place.start, place.stop)
        self._used = place.stop

    def get(self, states: Int64) -> Rows:
        """Rows of states that are held."""
        place = self._place[states]
        return Rows(self._log_p[place], self._following[place])


@dataclass(frozen=True, eq=False)
class _Automaton:
    """States by length of context, 0 the empty one; what is known to follow a state is a run."""

    first: Int64  # (S + 1,) where each state's run begins
    symbol: Int64  # (G,) what follows, of all states in turn
    log_p: Float32  # (G,)
    following: Int64  # (G,) the state it leads to
    shorter: Int64  # (S,) the state without its oldest symbol
    log_back_off: Float32  # (S,)
    length: Int64  # (S,)
    cache: _Cache

    @classmethod
    def of(cls, orders: tuple[Grams, ...]) -> _Automaton:
        """Number the contexts, shorter ones first. Raises BadInput for n-grams that make no automaton."""
        states, before = 1, 0  # how many there are so far, and n-grams
        contexts = codes = leads = np.zeros(1, np.int64)  # of the length before
        first, following, shorter, length = [], [], [contexts], [contexts]
        for n, grams in enumerate(orders, 1):
            held = grams.contexts
            suffix = np.minimum(np.searchsorted(codes, grams.codes % BASE ** (n - 1)), len(codes) - 1)
            to = leads[suffix]  # where the n-gram without its oldest symbol leads
            shorter.append(to[held])
            first.append(before + np.searchsorted(grams.codes, contexts * BASE))
            _check(n, grams, contexts, codes[suffix], np.concatenate(length)[to[held]])
            to[held] = states + np.arange(held.sum())
            length.append(np.full(held.sum(), n))
            following.append(to)
            contexts, codes, leads = grams.codes[held], grams.codes, to
            states, before = states + int(held.sum()), before + len(grams.codes)
        return cls(
            np.append(np.concatenate(first), before),
            np.concatenate([grams.codes % BASE for grams in orders]),
            np.concatenate([grams.log_p for grams in orders]),
            np.concatenate(following),
            np.concatenate(shorter),
            np.concatenate([np.zeros(1, np.float32), *(g.log_back_off[g.contexts] for g in orders)]),
            np.concatenate(length),
            _Cache(states),
        )

    def rows(self, states: Int64) -> Rows:
        """What may follow each of `states`."""
        missing = self.cache.missing(states)
        if len(missing):
            self.cache.put(missing, self._expanded(missing))
        return self.cache.get(states)

    def _expanded(self, states: Int64) -> Rows:
        """From the empty context up: each longer one weighs what is there and overwrites what it knows."""
        depth = self.length[states]
        suffixes = [states]
        for _ in range(depth.max(initial=0)):
            suffixes.append(self.shorter[suffixes[-1]])
        chain = np.stack(suffixes)  # (symbols taken off, row)
        log_p = np.zeros((len(states), BASE), np.float32)
        following = np.zeros((len(states), BASE), np.int64)
        for n in range(len(suffixes)):
            rows = np.flatnonzero(depth >= n)
            at = chain[depth[rows] - n, rows]
            log_p[rows] += self.log_back_off[at][:, None]
            count = self.first[at + 1] - self.first[at]
            run = np.arange(count.sum()) + np.repeat(self.first[at] - np.cumsum(count) + count, count)
            cells = np.repeat(rows, count), self.symbol[run]
            log_p[cells] = self.log_p[run]
            following[cells] = self.following[run]
        log_p[:, BREAK] = 0.0
        following[:, BREAK] = states
        return Rows(log_p, following)


def _check(n: int, grams: Grams, contexts: Int64, suffixes: Int64, lengths: Int64) -> None:
    """Raise BadInput unless n-grams of length n are sorted, and each shorter one that they imply is there."""
    sound = (
        bool((np.diff(grams.codes) > 0).all())
        and bool((suffixes == grams.codes % BASE ** (n - 1)).all())
        and bool((lengths == n - 1).all())
        and np.array_equal(np.unique(grams.codes // BASE), contexts)
        and (n > 1 or len(grams.codes) == COUNT)
    )
    if not sound:
        raise BadInput(
            f"the {n}-grams of this language model do not follow from its shorter ones; build it again: "
            "qwrist lm build"
        )
