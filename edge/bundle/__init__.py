"""The bundle: one signed folder with all that a phone or firmware developer needs. docs/formats/bundle.md."""

from edge.bundle.manifest import FILE_NAME, BundleFile, BundleManifest, Role, Target, VersionRange
from edge.bundle.opening import OpenBundle, open_bundle, read_bundle, verify_bundle
from edge.bundle.refusal import BundleRefused, Refusal
from edge.bundle.unpacking import unpacked

__all__ = [
    "FILE_NAME",
    "BundleFile",
    "BundleManifest",
    "BundleRefused",
    "OpenBundle",
    "Refusal",
    "Role",
    "Target",
    "VersionRange",
    "open_bundle",
    "read_bundle",
    "unpacked",
    "verify_bundle",
]
