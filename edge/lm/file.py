"""Language models as files, .qlm: docs/formats/lm.md has the bytes."""

from __future__ import annotations

import struct
import zlib
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from edge.errors import BadInput
from edge.files import write_atomically
from edge.lm.build import HIGHEST_ORDER, STEPS_A_NAT
from edge.lm.ngram import Grams, Int64, NgramModel
from edge.lm.symbols import BASE, COUNT, SYMBOLS
from edge.samples import Float32

SUFFIX: Final = ".qlm"
_MAGIC: Final = b"qwristLM"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sHBBIII")  # the last three: CRC-32 of symbols and body, size of body
_MOST_BYTES: Final = 1 << 28  # unpacked: 80 M n-grams, more than a device should hold
_NO_CONTEXT: Final = 0  # successors of an n-gram that none follows
_SYMBOLS_CRC: Final = zlib.crc32(SYMBOLS.encode())


def write_model(path: Path, model: NgramModel) -> int:
    """Write a model, whole or not at all; gives its size in bytes."""
    note = model.note.encode()
    parts = [struct.pack("<I", len(note)), note]
    for grams, longer in zip(model.orders, (*model.orders[1:], None), strict=True):
        held = grams.contexts
        followed = np.zeros(len(grams.codes), np.uint8)
        if longer is not None:
            followed[held] = np.unique(longer.codes // BASE, return_counts=True)[1]
        parts += [struct.pack("<I", len(grams.codes)), (grams.codes % BASE).astype(np.uint8).tobytes()]
        parts += [_steps(grams.log_p), followed.tobytes(), _steps(grams.log_back_off[held])]
    body = b"".join(parts)
    header = _HEADER.pack(_MAGIC, _VERSION, model.order, COUNT, _SYMBOLS_CRC, zlib.crc32(body), len(body))
    content = header + zlib.compress(body, 9)
    write_atomically(path, content)
    return len(content)


def read_model(path: Path) -> NgramModel:
    """Read a model. Raises BadInput for a file that is missing, of another kind, cut short or damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}); name a language model: qwrist lm build"
        ) from None
    return _parse(content, str(path))


def english() -> NgramModel:
    """The model that comes with qwrist: English words by their frequency (configs/NOTICE.md)."""
    return _parse((resources.files("configs") / "english.qlm").read_bytes(), "english.qlm")


def _parse(content: bytes, name: str) -> NgramModel:
    if content[: len(_MAGIC)] != _MAGIC or len(content) < _HEADER.size:
        raise BadInput(
            f"{name} is no language model of qwrist; make one of a text: qwrist lm build --text FILE"
        )
    _, version, order, symbols, symbols_crc, crc, size = _HEADER.unpack_from(content)
    if version != _VERSION or (symbols, symbols_crc) != (COUNT, _SYMBOLS_CRC):
        raise BadInput(f"{name} was made by another version of qwrist; build it again: qwrist lm build")
    body = _unpacked(content[_HEADER.size :], size)
    if body is None or zlib.crc32(body) != crc or not 1 <= order <= HIGHEST_ORDER:
        raise BadInput(f"{name} is damaged or cut short; build it again: qwrist lm build")
    try:
        return _Reader(body).model(order)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError):
        raise BadInput(
            f"{name} does not hold what its heading says; build it again: qwrist lm build"
        ) from None


def _unpacked(packed: bytes, size: int) -> bytes | None:
    """The body, if it is whole and of the size that the heading says."""
    if size > _MOST_BYTES:
        return None
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed, size + 1)
    except zlib.error:
        return None
    return body if len(body) == size and unpacker.eof and not unpacker.unused_data else None


class _Reader:
    """Takes a body apart, front to back."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def model(self, order: int) -> NgramModel:
        note = self._bytes(self._count()).decode()
        orders: list[Grams] = []
        contexts, followed = np.zeros(1, np.int64), np.array([COUNT])
        for _ in range(order):
            grams, counts = self._grams(np.repeat(contexts, followed))
            orders.append(grams)
            contexts, followed = grams.codes[grams.contexts], counts[grams.contexts]
        if self._at != len(self._body):
            raise ValueError("bytes are left over")
        return NgramModel(tuple(orders), note)

    def _grams(self, contexts: Int64) -> tuple[Grams, Int64]:
        count = self._count()
        if count != len(contexts):
            raise ValueError("as many n-grams as their contexts are followed by")
        symbols = self._array(count)
        log_p = self._nats(count)
        followed = self._array(count)
        held = followed != _NO_CONTEXT
        back_off = np.full(count, np.nan, np.float32)
        back_off[held] = self._nats(int(held.sum()))
        return Grams(contexts * BASE + symbols, log_p, back_off), followed

    def _nats(self, count: int) -> Float32:
        return (self._array(count) / -STEPS_A_NAT).astype(np.float32)

    def _array(self, count: int) -> Int64:
        return np.frombuffer(self._bytes(count), np.uint8).astype(np.int64)

    def _count(self) -> int:
        return int(struct.unpack("<I", self._bytes(4))[0])

    def _bytes(self, count: int) -> bytes:
        part = self._body[self._at : self._at + count]
        if len(part) != count:
            raise ValueError("the body ends early")
        self._at += count
        return part


def _steps(nats: Float32) -> bytes:
    return np.rint(-nats * STEPS_A_NAT).astype(np.uint8).tobytes()
