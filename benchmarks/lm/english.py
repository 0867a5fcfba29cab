"""Make configs/english.qlm from the word list of wordfreq 3.1.1: pip install wordfreq, then run this.

    python benchmarks/lm/english.py configs/english.qlm

The list has no sentences: each word stands alone, with the punctuation that English puts after one word in so
many, and numbers as they are written. docs/decisions says why this list.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from edge.lm import Weighted, build, write_model

WORDS = 30_000  # the last of them is met once in two million words
MOST_GRAMS = (
    150_000  # a file of 0.26 MB; twice as many read a real typist's prompts 0.02 bits a character better
)
TOKENS = 1e6  # words of text that the list stands for: what is rarer counts less than once
# Marks in a thousand words: Cook 2013, "Standard punctuation and the punctuation of the street".
AFTER = {".": 65.3, ",": 61.6, "?": 5.6, ":": 3.4, "!": 3.3, ";": 3.2, '"': 13.3}
BEFORE = {'"': 13.3}
HYPHEN = 15.3
NOTE = "English words by frequency, from wordfreq 3.1.1 (Robyn Speer); this file: CC BY-SA 4.0"


def words() -> Iterator[tuple[str, float]]:
    import wordfreq

    for word in wordfreq.top_n_list("en", WORDS, wordlist="large"):
        frequency = wordfreq.word_frequency(word, "en", wordlist="large") * TOKENS
        if set(word) == {"0"}:  # wordfreq writes 0 for each digit of a number
            numbers = {2: range(10, 100), 4: range(1900, 2030)}.get(len(word), range(0))
            yield from ((str(number), frequency / len(numbers)) for number in numbers)
        else:
            yield word, frequency


def texts() -> Iterator[Weighted]:
    plain = 1000 - sum(AFTER.values()) - sum(BEFORE.values()) - HYPHEN
    for word, frequency in words():
        yield Weighted(word, frequency * plain / 1000)
        yield Weighted(f"{word}-", frequency * HYPHEN / 1000)
        yield from (Weighted(f"{word}{mark}", frequency * often / 1000) for mark, often in AFTER.items())
        yield from (Weighted(f"{mark}{word}", frequency * often / 1000) for mark, often in BEFORE.items())


def main() -> None:
    built = build(texts(), order=6, min_count=0.0, most_grams=MOST_GRAMS, note=NOTE)
    path = Path(sys.argv[1])
    size = write_model(path, built.model)
    path.chmod(0o644)  # a private file would be useless in a package
    grams = [len(grams.codes) for grams in built.model.orders]
    print(
        f"{built.symbols:,} symbols, n-grams {grams}, {built.model.contexts:,} contexts, {size / 1e3:.0f} kB"
    )


if __name__ == "__main__":
    main()
