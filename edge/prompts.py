"""Prompts to be typed: English-like lines of 20 to 45 characters, the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from importlib import resources
from typing import Final

SHORTEST: Final = 20  # characters: long enough that Enter stays rare (3 % of a real user's keys)
LONGEST: Final = 45  # characters: read at a glance; emg2qwerty's prompts are of this length
_RANK_OFFSET: Final = 20  # flattens the head of the word list: `the` is typed often, not all the time
_CAPITAL: Final = 0.2  # share of prompts that begin with a capital
_STOP: Final = 0.2  # share that end in a full stop
_COMMA: Final = 0.2  # share with a comma after one word


def words() -> tuple[str, ...]:
    """The words that prompts are made of, the commonest first."""
    return tuple((resources.files("configs") / "words_en.txt").read_text(encoding="utf-8").split())


def prompt_deck(seed: int) -> Iterator[str]:
    """Prompts without end, SHORTEST to LONGEST characters each; `seed` decides them all."""
    rng = random.Random(f"prompts {seed}")
    deck = words()
    weights = [1 / math.sqrt(_RANK_OFFSET + rank) for rank in range(len(deck))]
    while True:
        yield _punctuated(_line(deck, weights, rng), rng)


def _line(deck: tuple[str, ...], weights: list[float], rng: random.Random) -> list[str]:
    """Words that, joined by spaces, leave room for a comma and a full stop."""
    target = rng.randint(SHORTEST, LONGEST - 2)
    line: list[str] = []
    while len(" ".join(line)) < SHORTEST:
        line = []
        while len(" ".join([*line, word := rng.choices(deck, weights)[0]])) <= target:
            line.append(word)
    return line


def _punctuated(line: list[str], rng: random.Random) -> str:
    if rng.random() < _COMMA:
        line[rng.randrange(len(line) - 1)] += ","
    text = " ".join(line) + ("." if rng.random() < _STOP else "")
    return text[0].upper() + text[1:] if rng.random() < _CAPITAL else text
