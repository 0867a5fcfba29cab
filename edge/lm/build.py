"""Language models from text: n-grams counted, interpolated (Witten and Bell), pruned, rounded to 1/16 nat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput
from edge.lm.ngram import Grams, Int64, NgramModel
from edge.lm.symbols import BASE, BREAK, COUNT, Symbols, symbols_of
from edge.samples import Float32

HIGHEST_ORDER: Final = 10  # BASE ** 10 is the last that fits 63 bits
STEPS_A_NAT: Final = 16  # probabilities are kept to 1/16 nat, 6 %: an estimate knows no more
FLOOR: Final = -255 / STEPS_A_NAT  # nats: the least of 256 steps
_LEAST_SYMBOLS: Final = 100  # two lines: less says nothing of a language
_MOST_BREAKS: Final = 0.5  # of the characters: a text that no keyboard types, or no text
_AT_ONCE: Final = 4_000_000  # symbols counted at once: 32 MB of codes a length

Float64 = npt.NDArray[np.float64]


class Weighted(NamedTuple):
    """A text, and how many times it counts."""

    text: str
    weight: float = 1.0


class Built(NamedTuple):
    """A model, and what of the text it was built from."""

    model: NgramModel
    symbols: int  # read
    left_out: int  # characters that no key types


class _Counts(NamedTuple):
    codes: Int64  # sorted, each once
    times: Float64


def build(
    texts: Iterable[Weighted],
    *,
    order: int = 6,
    min_count: float = 1.0,
    most_grams: int | None = None,
    note: str = "",
) -> Built:
    """A model of n-grams up to `order`. Each text stands alone: nothing spans two.

    min_count: n-grams of 3 symbols and more that count less are left to their shorter contexts.
    most_grams: raises `min_count` until no more than so many n-grams remain.
    Raises BadInput for an order beyond 1 to 10, and for texts that are empty or not of this keyboard.
    """
    if not 1 <= order <= HIGHEST_ORDER:
        raise BadInput(f"the order is {order}; expected 1 to {HIGHEST_ORDER} symbols, 6 serve well")
    counts, symbols, left_out = _counted(texts, order)
    _check_amount(symbols, left_out)
    least = min_count if most_grams is None else max(min_count, _count_for(counts, most_grams))
    return Built(NgramModel(tuple(_estimated(counts, least)), note), symbols, left_out)


def _check_amount(symbols: int, left_out: int) -> None:
    if symbols < _LEAST_SYMBOLS:
        raise BadInput(
            f"the text holds {symbols} characters of this keyboard; a language model needs {_LEAST_SYMBOLS}, "
            "and is worth having from 100,000: name more text"
        )
    if left_out > _MOST_BREAKS * (symbols + left_out):
        raise BadInput(
            f"{left_out:,} of {symbols + left_out:,} characters are on no key of this keyboard; "
            "name files of plain text (UTF-8) in the language that is typed"
        )


def _counted(texts: Iterable[Weighted], order: int) -> tuple[list[_Counts], int, int]:
    counts = [_Counts(np.zeros(0, np.int64), np.zeros(0)) for _ in range(order)]
    symbols = left_out = 0
    for read, weights in _batches(texts):
        symbols += int((read != BREAK).sum())
        left_out += int(((read == BREAK) & (weights > 0)).sum())
        counts = [_merged(old, new) for old, new in zip(counts, _ngrams(read, weights, order), strict=True)]
    return counts, symbols, left_out


def _batches(texts: Iterable[Weighted]) -> Iterator[tuple[Symbols, Float64]]:
    """Symbols and their weights, as many at once as memory should hold. Texts end in a break of no weight."""
    held: list[tuple[Symbols, Float64]] = []
    size = 0
    for text, weight in texts:
        for start in range(0, len(text), _AT_ONCE):
            read = np.append(symbols_of(f" {text[start : start + _AT_ONCE]} "), np.uint8(BREAK))
            weights = np.full(len(read), weight)
            weights[-1] = 0
            held.append((read, weights))
            size += len(read)
            if size > _AT_ONCE:
                yield _joined(held)
                held, size = [], 0
    if held:
        yield _joined(held)


def _joined(held: list[tuple[Symbols, Float64]]) -> tuple[Symbols, Float64]:
    return np.concatenate([read for read, _ in held]), np.concatenate([weights for _, weights in held])


def _ngrams(read: Symbols, weights: Float64, order: int) -> Iterator[_Counts]:
    """The n-grams of each length that hold no break."""
    codes, alive = np.zeros(len(read), np.int64), np.ones(len(read), np.bool_)
    for n in range(1, order + 1):
        # the n-gram that ends at each symbol: one symbol longer than before, at its oldest end
        oldest = np.concatenate([np.full(min(n - 1, len(read)), BREAK, np.uint8), read[: len(read) - n + 1]])
        alive &= oldest != BREAK
        codes += oldest.astype(np.int64) * BASE ** (n - 1)
        yield _summed(codes[alive], weights[alive])


def _summed(codes: Int64, count: Float64) -> _Counts:
    found, place = np.unique(codes, return_inverse=True)
    return _Counts(found, np.bincount(place, count, len(found)).astype(np.float64))


def _merged(one: _Counts, other: _Counts) -> _Counts:
    return _summed(np.concatenate([one.codes, other.codes]), np.concatenate([one.times, other.times]))


def _count_for(counts: list[_Counts], most: int) -> float:
    """The least count by which at most `most` n-grams remain, of those that may go."""
    free = np.sort(np.concatenate([np.zeros(0), *(one.times for one in counts[2:])]))[::-1]
    kept = most - sum(len(one.codes) for one in counts[:2])
    return 0.0 if kept >= len(free) else float(np.nextafter(free[max(kept, 0)], np.inf))


def _estimated(counts: list[_Counts], min_count: float) -> Iterator[Grams]:
    """P(c | h) = count(h c) / (N + T) + lambda P(c | h'): Witten and Bell 1991, method C, interpolated.

    N is how often h was followed and T by how many different symbols; what was pruned of h adds to the share
    lambda of its shorter context h', which is at once h's back-off weight.
    """
    kept = [
        one if n <= 2 else _Counts(one.codes[one.times >= min_count], one.times[one.times >= min_count])
        for n, one in enumerate(counts, 1)
    ]
    alphabet = np.arange(1, COUNT + 1, dtype=np.int64)
    codes, p = np.zeros(1, np.int64), np.full(1, 1 / COUNT)  # below the 1-grams: every symbol alike
    for n, (one, all_seen) in enumerate(zip(kept, counts, strict=True), 1):
        seen = one
        total, kinds, kept_total = _per_context(seen, all_seen)
        weight = 1 - kept_total / (total + kinds)  # lambda, at each n-gram's context
        lower = p[np.searchsorted(codes, seen.codes % BASE ** (n - 1))]
        found = seen.times / (total + kinds) + weight * lower
        if n == 1:  # each symbol is there, seen or not
            whole = np.full(COUNT, weight[0] / COUNT)
            whole[seen.codes - 1] = found
            seen, found = _Counts(alphabet, np.zeros(COUNT)), whole
        back_off = np.full(len(seen.codes), np.nan)
        if n < len(kept):
            back_off = _back_off(seen.codes, kept[n], counts[n])
        codes, p = seen.codes, found
        yield Grams(codes, _rounded(np.log(found)), _rounded(np.log(back_off)))


def _per_context(seen: _Counts, all_seen: _Counts) -> tuple[Float64, Float64, Float64]:
    """Of each kept n-gram's context: the sum of all counts, their number, the sum of those kept."""
    contexts, place = np.unique(all_seen.codes // BASE, return_inverse=True)
    total = np.bincount(place, all_seen.times).astype(np.float64)
    kinds = np.bincount(place).astype(np.float64)
    at = np.searchsorted(contexts, seen.codes // BASE)
    kept_total = np.bincount(at, seen.times, len(contexts)).astype(np.float64)
    return total[at], kinds[at], kept_total[at]


def _back_off(codes: Int64, longer: _Counts, all_longer: _Counts) -> Float64:
    """The weight of the shorter context at each n-gram that goes on; nan at those that do not."""
    total, kinds, kept_total = _per_context(longer, all_longer)
    weight = 1 - kept_total / (total + kinds)
    found = np.full(len(codes), np.nan)
    found[np.searchsorted(codes, longer.codes // BASE)] = weight
    return found


def _rounded(log_p: Float64) -> Float32:
    return (np.maximum(np.rint(log_p * STEPS_A_NAT), FLOOR * STEPS_A_NAT) / STEPS_A_NAT).astype(np.float32)
