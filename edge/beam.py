"""CTC prefix beam search, streaming, with a language model that forgets what a backspace erased.

    decoder = Beam(lm=english())
    state, settled = decoder.step(decoder.initial_state(), log_probs)
    decoder.tentative(state)  # what the likeliest hypothesis says beyond them, so far

Graves 2012, chapter 7, with what a keyboard needs. Each hypothesis keeps a stack of language model states,
one a character that stands, so that a backspace takes back the score of what it erases. What was said longer
ago than the revision window is settled: hypotheses that disagree are dropped, and all state is of fixed size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.charset import BACKSPACE, CHARSET
from edge.decoder import Said
from edge.errors import BadInput
from edge.lm.ngram import Int64, LanguageModel
from edge.lm.symbols import OF_LABEL
from edge.samples import Float32

Float64 = npt.NDArray[np.float64]
UInt64 = npt.NDArray[np.uint64]

MOST_WIDTH: Final = 1000  # hypotheses; each has at most one language model state that is new
_STANDING: Final = 64  # characters that backspaces may take back with their score: a line
_NONE: Final = CHARSET.blank  # the last label where nothing was said yet
_BACKSPACE: Final = CHARSET.index(BACKSPACE)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: spreads labels over 64 bits
_NEVER: Final = -np.inf


class Hypotheses(NamedTuple):
    """B ways to read the emissions so far, the likeliest first. Log-probabilities: relative to the best."""

    blank: Float64  # (B,) log-probability of all paths to this reading that end in a blank
    spoken: Float64  # (B,) and of those that end in its last label
    last: Int64  # (B,) label said last
    key: UInt64  # (B,) identifies the whole sequence of labels
    parent: UInt64  # (B,) the same without the last one
    labels: npt.NDArray[np.int16]  # (B, P) those not settled yet
    emissions: Int64  # (B, P) where each of them was said
    pending: Int64  # (B,) how many they are
    lm: Int64  # (B,) language model state
    past: Int64  # (B, C) ring of its states before each of the last characters that stand
    gains: Float64  # (B, C) what each of those characters scored
    depth: Int64  # (B,) characters that stand
    bottom: Int64  # (B,) characters below which nothing is remembered

    def take(self, rows: Int64 | npt.NDArray[np.bool_]) -> Hypotheses:
        """Some of them."""
        return Hypotheses._make(column[rows] for column in self)


class BeamState(NamedTuple):
    """Where the search stands after so many emissions."""

    emissions: int
    hypotheses: Hypotheses


@dataclass(frozen=True)
class Beam:
    """Settings of a search. Weights were chosen on simulated wearers (docs/guides/language-model.md)."""

    lm: LanguageModel | None = None
    width: int = 50  # hypotheses
    lm_weight: float = 0.55  # of the language model's log-probability beside the network's
    bonus: float = 1.0  # for a character: what the language model's cost takes from any, right or wrong
    window: int = 62  # emissions that may be revised: 1 s at 62.5 emissions/s
    open_keys: int = 48  # and keys: more than the fastest typists press in 5 s (439 a minute)
    floor: float = math.log(1e-3)  # labels less likely than this in an emission are not tried there
    tried: int = 12  # nor more than so many, the likeliest

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MOST_WIDTH:
            raise BadInput(f"the beam's width is {self.width}; expected 1 to {MOST_WIDTH}, 50 serves well")
        if self.window < 1 or self.open_keys < 1 or not 1 <= self.tried < CHARSET.num_classes:
            raise BadInput(
                f"the beam revises {self.window} emissions and {self.open_keys} keys, and tries {self.tried} "
                f"labels; expected at least 1 emission and 1 key, and 1 to {CHARSET.blank} labels"
            )
        if not (math.isfinite(self.lm_weight) and self.lm_weight >= 0 and math.isfinite(self.bonus)):
            raise BadInput(
                f"the language model's weight is {self.lm_weight} and the bonus {self.bonus}; "
                "expected numbers, the weight not negative"
            )

    def __str__(self) -> str:
        model = "without a language model" if self.lm is None else "with a language model"
        return f"beam of {self.width} {model}"

    def initial_state(self) -> BeamState:
        """Before the first emission: one hypothesis, that nothing was said."""
        return BeamState(
            0,
            Hypotheses(
                blank=np.zeros(1),
                spoken=np.full(1, _NEVER),
                last=np.full(1, _NONE),
                key=np.ones(1, np.uint64),
                parent=np.zeros(1, np.uint64),
                labels=np.zeros((1, self.open_keys), np.int16),
                emissions=np.zeros((1, self.open_keys), np.int64),
                pending=np.zeros(1, np.int64),
                lm=np.full(1, 0 if self.lm is None else self.lm.start),
                past=np.zeros((1, _STANDING), np.int64),
                gains=np.zeros((1, _STANDING)),
                depth=np.zeros(1, np.int64),
                bottom=np.zeros(1, np.int64),
            ),
        )

    def step(self, state: BeamState, log_probs: Float32) -> tuple[BeamState, list[Said]]:
        """Search through (T, K) emissions that follow on `state`; give the keys that they settle."""
        count, found = state
        settled: list[Said] = []
        rows = log_probs.astype(np.float64)
        for row, tried in zip(rows, self._tried(rows), strict=True):
            if len(tried):
                found = self._extended(found, row, tried, count)
            else:  # a sure blank: nothing new is said, and the order stays
                total = np.logaddexp(found.blank, found.spoken)
                found = found._replace(blank=total - total[0], spoken=np.full(len(total), _NEVER))
            found, keys = self._settled(found, count)
            settled += keys
            count += 1
        return BeamState(count, found), settled

    def tentative(self, state: BeamState) -> list[Said]:
        """What the likeliest hypothesis says that is not settled yet."""
        found = state.hypotheses
        held = int(found.pending[0])
        pairs = zip(found.labels[0, :held].tolist(), found.emissions[0, :held].tolist(), strict=True)
        return [Said(label, emission, state.emissions - 1) for label, emission in pairs]

    def _tried(self, rows: Float64) -> list[Int64]:
        """The labels worth trying in each emission, in the order of classes."""
        keys = rows[:, : CHARSET.blank]
        least = np.partition(keys, -self.tried, axis=1)[:, -self.tried]
        worth = (keys >= self.floor) & (keys >= least[:, None])
        return [np.flatnonzero(one) for one in worth]

    def _extended(self, old: Hypotheses, row: Float64, tried: Int64, emission: int) -> Hypotheses:
        """All readings one emission on: each as it was, or with one more label. The best of them remain."""
        total = np.logaddexp(old.blank, old.spoken)
        known = np.full(CHARSET.num_classes, _NEVER)
        known[tried] = row[tried]
        blank = total + row[CHARSET.blank]
        spoken = old.spoken + known[old.last]
        again = old.last[:, None] == tried
        gain, following = self._lm_step(old, tried)
        grown = np.where(again, old.blank[:, None], total[:, None]) + row[tried] + gain  # (B, k)
        keys = (old.key[:, None] + tried.astype(np.uint64) + np.uint64(1)) * _MIX
        _merge(old, spoken, grown, tried)

        scores = np.concatenate([np.logaddexp(blank, spoken), grown.ravel()])
        kept = np.argsort(-scores, kind="stable")[: self.width]
        kept = kept[scores[kept] > _NEVER]
        best, size = scores[kept[0]], len(blank)
        new = np.flatnonzero(kept >= size)  # rows of the new beam that say one label more
        at, which = np.divmod(kept[new] - size, len(tried))
        source = kept.copy()
        source[new] = at
        found = old._replace(blank=blank - best, spoken=spoken - best).take(source)
        found.blank[new] = _NEVER
        found.spoken[new] = grown[at, which] - best
        found.parent[new] = old.key[at]
        found.key[new] = keys[at, which]
        found.last[new] = tried[which]
        end = found.pending[new]
        found.labels[new, end] = tried[which]
        found.emissions[new, end] = emission
        found.pending[new] += 1
        if self.lm is not None:
            self._type(found, new, tried[which], gain[at, which], following[at, which])
        return found

    def _lm_step(self, old: Hypotheses, tried: Int64) -> tuple[Float64, Int64]:
        """For each hypothesis and label tried, (B, k): what it adds to the score, and where it leads."""
        symbols = OF_LABEL[tried].astype(np.int64)
        gain = np.zeros((len(old.lm), len(tried)))
        if self.lm is None:
            return gain, gain.astype(np.int64)
        rows = self.lm.rows(old.lm)
        scored = self.lm_weight * rows.log_p[:, symbols].astype(np.float64) + self.bonus
        np.copyto(gain, scored, where=symbols > 0)
        erased = np.flatnonzero(tried == _BACKSPACE)
        if len(erased):
            remembered = old.gains[np.arange(len(old.lm)), (old.depth - 1) % _STANDING]
            gain[:, erased[0]] = np.where(old.depth > old.bottom, -remembered, 0.0)
        return gain, rows.following[:, symbols]

    def _type(self, found: Hypotheses, new: Int64, labels: Int64, gains: Float64, following: Int64) -> None:
        """Apply the new label of each row to its text: a character is pushed, a backspace pops one."""
        typed = OF_LABEL[labels] > 0
        rows, place = new[typed], found.depth[new[typed]] % _STANDING
        found.past[rows, place] = found.lm[rows]
        found.gains[rows, place] = gains[typed]
        found.lm[rows] = following[typed]
        found.depth[rows] += 1
        found.bottom[rows] = np.maximum(found.bottom[rows], found.depth[rows] - _STANDING)
        if self.lm is not None and (labels == _BACKSPACE).any():
            rows = new[labels == _BACKSPACE]
            remembered = found.depth[rows] > found.bottom[rows]
            found.depth[rows] -= remembered
            before = found.past[rows, found.depth[rows] % _STANDING]
            found.lm[rows] = np.where(remembered, before, self.lm.start)

    def _settled(self, found: Hypotheses, emission: int) -> tuple[Hypotheses, list[Said]]:
        """Settle what all hypotheses agree on, and what is too old to be revised by any."""
        keys: list[Said] = []
        horizon = emission - self.window
        while found.pending[0] > 0:
            first, said = found.labels[0, 0], int(found.emissions[0, 0])
            agree = (found.labels[:, 0] == first) & (found.pending > 0)
            if said > horizon and found.pending.max() < self.open_keys and not agree.all():
                break
            keys.append(Said(int(first), said, emission))
            found = _without_first(found if agree.all() else found.take(agree))
        # What others say of the time before the horizon is settled too: not so. Nor can they hold any more.
        late = (found.pending > 0) & ((found.emissions[:, 0] <= horizon) | (found.pending == self.open_keys))
        return (found.take(~late) if late.any() else found), keys


def _without_first(found: Hypotheses) -> Hypotheses:
    """The same hypotheses, the first of their open keys being settled."""
    return found._replace(
        labels=np.roll(found.labels, -1, axis=1),
        emissions=np.roll(found.emissions, -1, axis=1),
        pending=found.pending - 1,
    )


def _merge(old: Hypotheses, spoken: Float64, grown: Float64, tried: Int64) -> None:
    """Where a hypothesis, grown by a label, is another one that is there: give its paths to that one."""
    column = np.full(CHARSET.num_classes, -1)
    column[tried] = np.arange(len(tried))
    parents = old.key[:, None] == old.parent  # (B, B): row is the parent of column
    at = parents.argmax(0)
    child = np.flatnonzero(parents[at, np.arange(len(at))] & (column[old.last] >= 0))
    cell = at[child], column[old.last[child]]
    spoken[child] = np.logaddexp(spoken[child], grown[cell])
    grown[cell] = _NEVER
