"""What a runtime in another process says and hears: a length, a JSON header, then arrays.

    u32, the header's bytes | header, UTF-8 JSON | each array that it lists; all little-endian, C order

No pickle: a header that is not what it must be is refused, and nothing is sized by an unchecked number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.errors import BadInput
from edge.manifest import Artifact, Form, RuntimeKind

MAX_HEADER_BYTES: Final = 1 << 20  # a header lists some tens of tensors: a few kilobytes
MAX_ARRAY_BYTES: Final = 1 << 30  # a whole window of 4 s of frames is 2 MB

Array = npt.NDArray[Any]
_LENGTH: Final = struct.Struct("<I")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArrayHeader(_Record):
    """One array that follows the header."""

    dtype: Literal["float32", "int8", "int16"]
    shape: tuple[int, ...] = Field(max_length=8)


class Open(_Record):
    """Load an artifact of `folder`."""

    what: Literal["open"] = "open"
    folder: str
    artifact: Artifact
    threads: int
    kind: RuntimeKind | None


class Run(_Record):
    """Run one call: the first `inputs` arrays are frames, or samples and valid; the others are the state."""

    what: Literal["run"] = "run"
    inputs: int


class Opened(_Record):
    """It is loaded: what it is, what that took, and the most memory held before and after."""

    what: Literal["opened"] = "opened"
    name: str
    form: Form
    load_s: float
    idle_bytes: int  # with the runtime's library imported
    peak_bytes: int


class Ran(_Record):
    """The arrays are log-probabilities and the state after."""

    what: Literal["ran"] = "ran"
    peak_bytes: int


class Refused(_Record):
    """The request failed with an error that is the user's to solve."""

    what: Literal["refused"] = "refused"
    error: str  # the class's name in edge.errors
    message: str


Body = Open | Run | Opened | Ran | Refused


class _Header(_Record):
    body: Body = Field(discriminator="what")
    arrays: tuple[ArrayHeader, ...] = ()


class Message(NamedTuple):
    """One request or answer."""

    body: Body
    arrays: tuple[Array, ...] = ()


def write_message(stream: BinaryIO, body: Body, arrays: Sequence[Array] = ()) -> None:
    """Send one message whole."""
    packed = [np.asarray(array, order="C") for array in arrays]
    listed = [{"dtype": array.dtype.name, "shape": array.shape} for array in packed]
    header = _Header.model_validate({"body": body, "arrays": listed}).model_dump_json().encode()
    stream.write(_LENGTH.pack(len(header)) + header)
    for array in packed:
        stream.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Receive one message; None where the stream ended before it. Raises BadInput for anything else."""
    start = stream.read(_LENGTH.size)
    if not start:
        return None
    if len(start) < _LENGTH.size:
        raise BadInput("the message broke off in its length; run it again")
    (length,) = _LENGTH.unpack(start)
    if length > MAX_HEADER_BYTES:
        raise BadInput(
            f"a message's header of {length} bytes was announced, at most {MAX_HEADER_BYTES} is read"
        )
    try:
        header = _Header.model_validate_json(_exactly(stream, length))
    except ValidationError as error:
        raise BadInput(f"what came is no message of a runtime: {error.error_count()} faults") from None
    return Message(header.body, tuple(_read_array(stream, array) for array in header.arrays))


def _read_array(stream: BinaryIO, header: ArrayHeader) -> Array:
    dtype = np.dtype(header.dtype).newbyteorder("<")
    size = math.prod(header.shape) * dtype.itemsize
    if min(header.shape, default=0) < 0 or size > MAX_ARRAY_BYTES:
        raise BadInput(
            f"an array of shape {header.shape} was announced; at most {MAX_ARRAY_BYTES} bytes are read"
        )
    flat = np.frombuffer(_exactly(stream, size), dtype)
    return flat.reshape(header.shape).astype(header.dtype)  # native, and writable


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise BadInput(f"a message broke off after {len(content)} of {count} bytes; run it again")
    return content
