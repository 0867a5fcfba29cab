"""Ed25519 keys and signatures: who made a bundle, in files that any tool reads.

Keys are PEM (PKCS 8 and SubjectPublicKeyInfo, RFC 8410), signatures the 64 bytes of RFC 8032. A key is known
by its id, the SHA-256 of its 32 public bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

from edge.errors import BadInput
from edge.extras import require

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES: Final = 64  # RFC 8032, section 5.1.6
_EXTRA: Final = "bundle"
_ED25519: Final = "cryptography.hazmat.primitives.asymmetric.ed25519"
_SERIALIZATION: Final = "cryptography.hazmat.primitives.serialization"


@dataclass(frozen=True)
class VerifyingKey:
    """The public half: it tells whether a signature is its owner's."""

    raw: bytes  # 32

    @classmethod
    def of_pem(cls, pem: bytes, where: str) -> Self:
        """From PEM. Raises BadInput, naming `where`, for anything but an Ed25519 public key."""
        serialization, ed25519 = require(_SERIALIZATION, _EXTRA), require(_ED25519, _EXTRA)
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError:
            key = None
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise BadInput(
                f"{where} is not an Ed25519 public key in PEM; ask its owner for: qwrist bundle key"
            )
        return cls(cast("Ed25519PublicKey", key).public_bytes_raw())

    @property
    def id(self) -> str:
        """How bundles and people name this key: 64 hexadecimal digits."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def pem(self) -> bytes:
        """As a file to give away."""
        serialization = require(_SERIALIZATION, _EXTRA)
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key().public_bytes(serialization.Encoding.PEM, spki)

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of this key signed exactly `message`."""
        exceptions = require("cryptography.exceptions", _EXTRA)
        try:
            self._key().verify(signature, message)
        except exceptions.InvalidSignature:
            return False
        return True

    def _key(self) -> Ed25519PublicKey:
        ed25519 = require(_ED25519, _EXTRA)
        return cast("Ed25519PublicKey", ed25519.Ed25519PublicKey.from_public_bytes(self.raw))


@dataclass(frozen=True, repr=False)
class SigningKey:
    """The secret half: whoever holds it can sign. Never printed."""

    raw: bytes  # 32

    @classmethod
    def generate(cls) -> Self:
        """A new one, from the system's random numbers."""
        key: Ed25519PrivateKey = require(_ED25519, _EXTRA).Ed25519PrivateKey.generate()
        return cls(key.private_bytes_raw())

    @classmethod
    def of_pem(cls, pem: bytes, where: str) -> Self:
        """From PEM. Raises BadInput, naming `where`, for anything but a bare Ed25519 key."""
        serialization, ed25519 = require(_SERIALIZATION, _EXTRA), require(_ED25519, _EXTRA)
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):  # damaged; under a password
            key = None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise BadInput(
                f"{where} is not an Ed25519 signing key in PEM; restore it, or move it away for a new one"
            )
        return cls(cast("Ed25519PrivateKey", key).private_bytes_raw())

    @property
    def pem(self) -> bytes:
        """As a file to keep."""
        serialization = require(_SERIALIZATION, _EXTRA)
        bare = serialization.NoEncryption()
        return self._key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, bare)

    @property
    def public(self) -> VerifyingKey:
        """What others check its signatures with."""
        return VerifyingKey(self._key().public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same for the same message."""
        return self._key().sign(message)

    def _key(self) -> Ed25519PrivateKey:
        ed25519 = require(_ED25519, _EXTRA)
        return cast("Ed25519PrivateKey", ed25519.Ed25519PrivateKey.from_private_bytes(self.raw))
