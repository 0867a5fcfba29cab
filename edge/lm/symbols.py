"""What a language model reads: 69 symbols, the characters of the keyboard without their case.

Space and Enter are one symbol, the end of a word: a text's line breaks are its page's, not its writer's. Case
is left to the emissions, which hold the shift key. Symbol 0 is none of them: it breaks a text in two.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.charset import CHARSET
from edge.edits import character

Symbols = npt.NDArray[np.uint8]

SYMBOLS: Final = " " + string.ascii_lowercase + string.digits + string.punctuation
COUNT: Final = len(SYMBOLS)
BASE: Final = COUNT + 1  # symbols and the break
BREAK: Final = 0
BOUNDARY: Final = 1

# What typesetters write for what a keyboard has; accents are taken off by their decomposition.
_TYPESET: Final = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})

_SPACE: Final = re.compile(r"\s+")


def _symbol(character: str) -> int:
    return BOUNDARY if character.isspace() else SYMBOLS.find(character.lower()) + 1


_LATIN: Final = np.array([_symbol(chr(code)) for code in range(128)], np.uint8)

# The symbol that each class of the decoder types; BREAK for backspace, shift and the blank, which type none.
OF_LABEL: Final = np.array(
    [_symbol(typed) if (typed := character(label)) else BREAK for label in range(len(CHARSET.keys))]
    + [BREAK],
    np.uint8,
)


def symbols_of(text: str) -> Symbols:
    """`text` as symbols: white space as one boundary, a BREAK for each character that no key types."""
    plain = unicodedata.normalize("NFKD", text.translate(_TYPESET))
    spaced = _SPACE.sub(" ", "".join(c for c in plain if not unicodedata.combining(c)))
    codes = np.frombuffer(spaced.encode("utf-32-le"), np.uint32)
    return np.where(codes < len(_LATIN), _LATIN[np.minimum(codes, len(_LATIN) - 1)], BREAK).astype(np.uint8)
