"""Errors a user can act on. Each message says what happened, what was expected and what to do next."""

from __future__ import annotations


class QwristError(Exception):
    """Base of every error that is the user's to solve; the command line prints it and exits with code 2."""


class BadInput(QwristError):
    """A value, file or argument is not what it must be."""


class BadSession(BadInput):
    """A recording is missing something, damaged or inconsistent."""


class NotEnoughData(QwristError):
    """There is too little recorded data for what was asked."""


class MissingExtra(QwristError):
    """An optional dependency is needed and not installed."""


class SourceLost(QwristError):
    """A sample source stopped delivering samples."""
