"""Bundles from the desk's side: writing one, describing it, telling two apart."""

from export.bundle.writing import writing_bundle

__all__ = ["writing_bundle"]
