"""Bundles from the desk's side: writing one, describing it, telling two apart."""

from export.bundle.compare import Difference, compare
from export.bundle.describe import BundleFacts, describe
from export.bundle.writing import writing_bundle

__all__ = ["BundleFacts", "Difference", "compare", "describe", "writing_bundle"]
