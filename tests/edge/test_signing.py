"""Keys and signatures: what is signed is verified, anything else is not, and files are any tool's."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.signing import SIGNATURE_BYTES, SigningKey, VerifyingKey

# RFC 8032, section 7.1, test 3.
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def test_it_is_ed25519_of_rfc_8032() -> None:
    key = SigningKey(SEED)
    assert key.public == VerifyingKey(PUBLIC)
    assert key.sign(MESSAGE) == SIGNATURE
    assert key.public.signed(MESSAGE, SIGNATURE)
    assert key.public.id == hashlib.sha256(PUBLIC).hexdigest()


@given(
    message=st.binary(max_size=100), at=st.integers(0, 8 * SIGNATURE_BYTES - 1), other=st.binary(max_size=100)
)
def test_one_flipped_bit_or_another_message_does_not_hold(message: bytes, at: int, other: bytes) -> None:
    key = SigningKey(SEED)
    signature = key.sign(message)
    assert key.public.signed(message, signature)
    flipped = bytearray(signature)
    flipped[at // 8] ^= 1 << at % 8
    assert not key.public.signed(message, bytes(flipped))
    assert key.public.signed(other, signature) == (other == message)


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(SIGNATURE_BYTES)])
def test_signatures_of_other_lengths_do_not_hold(signature: bytes) -> None:
    assert not VerifyingKey(PUBLIC).signed(MESSAGE, signature)


def test_keys_survive_their_files() -> None:
    key = SigningKey.generate()
    assert SigningKey.of_pem(key.pem, "a.pem").raw == key.raw
    assert VerifyingKey.of_pem(key.public.pem, "b.pem") == key.public
    assert key.pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert key.public.pem.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert SigningKey.generate().raw != key.raw


def test_what_is_no_key_is_refused_by_name() -> None:
    key = SigningKey(SEED)
    for pem in (b"", b"nonsense", key.pem, key.public.pem[:60]):
        with pytest.raises(BadInput, match=r"b\.pem is not an Ed25519 public key"):
            VerifyingKey.of_pem(pem, "b.pem")
    for pem in (b"", b"nonsense", key.public.pem, key.pem[:60]):
        with pytest.raises(BadInput, match=r"a\.pem is not an Ed25519 signing key"):
            SigningKey.of_pem(pem, "a.pem")


def test_keys_of_other_kinds_are_refused() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    secret = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = other.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(BadInput, match="is not an Ed25519 signing key"):
        SigningKey.of_pem(secret, "a.pem")
    with pytest.raises(BadInput, match="is not an Ed25519 public key"):
        VerifyingKey.of_pem(public, "b.pem")


def test_a_secret_is_not_printed() -> None:
    assert SEED.hex() not in repr(SigningKey(SEED))
    assert str(SEED) not in repr(SigningKey(SEED))
