"""Why a bundle is not used: one reason and one sentence each."""

from __future__ import annotations

from enum import Enum

from edge.errors import BadInput


class Refusal(Enum):
    """The reasons, for machines."""

    NOT_A_BUNDLE = "not a bundle"
    NEWER_SCHEMA = "newer schema"
    UNSIGNED = "unsigned"
    WRONG_SIGNATURE = "wrong signature"
    UNKNOWN_KEY = "unknown key"
    MALFORMED = "malformed"  # signed, and yet against the format's rules
    ALTERED_FILE = "altered file"
    TRUNCATED_FILE = "truncated file"
    MISSING_FILE = "missing file"
    EXTRA_FILE = "extra file"
    LINK = "link"
    OLDER_COUNTER = "older counter"
    WRONG_USER = "wrong user"
    CHARSET_MISMATCH = "charset mismatch"
    RUNTIME_TOO_OLD = "runtime too old"
    RUNTIME_TOO_NEW = "runtime too new"


class BundleRefused(BadInput):
    """A bundle that must not be used."""

    def __init__(self, reason: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
