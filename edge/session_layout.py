"""emg2qwerty's HDF5 layout, both ways, for files that may be damaged or hostile. docs/formats/session.md.

Nothing outside the file is followed (links, external storage), nothing is allocated before its size is known
to be plausible, and samples are read in slices.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar

import h5py
import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge.documents import first_fault
from edge.errors import BadSession
from edge.files import require_room
from edge.samples import (
    ELECTRODES,
    RATE_HZ,
    SIDES,
    WRISTS,
    Bool,
    Float32,
    Float64,
    KeyPress,
    Prompt,
    SegmentStart,
    Side,
)

GROUP: Final = "emg2qwerty"
TABLE: Final = "timeseries"
OURS: Final = "qwrist"  # the one attribute that emg2qwerty does not have

_RECORD: Final = np.dtype(
    [("time", "<f8"), ("emg_left", "<f4", (ELECTRODES,)), ("emg_right", "<f4", (ELECTRODES,))]
)
_SLICE: Final = 1 << 16  # samples: 9 MB of records at a time
_CHUNK: Final = 4000  # samples: 2 s, so that a window reads little more than itself
LONGEST_S: Final = 8 * 3600  # a day of typing; sealed and read whole, in 9 GB of memory
LONGEST: Final = LONGEST_S * RATE_HZ  # samples
_CHUNK_OVERHEAD: Final = 1 << 10  # bytes: gzip's 5 in 16 kB that do not compress, and a place in the index
_FILE_OVERHEAD: Final = 1 << 16  # bytes: headers, heaps and the index's first nodes; one sample takes 11 kB
_LARGEST_CHUNK: Final = 256 << 20  # bytes that HDF5 allocates to read one sample
_HIGHEST_RATIO: Final = 200  # declared to stored bytes; real sEMG compresses to no less than a third
# Filters that every h5py has; another one would load a plug-in, which is code.
_FILTERS: Final = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}

_TEXT_PROMPT: Final = "text_prompt"

_T = TypeVar("_T")
_Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _Theirs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # emg2qwerty's records, which may grow


class _Keystroke(_Theirs):
    start: _Seconds
    end: _Seconds
    key: str


class _Payload(_Theirs):
    text: str


class _Prompt(_Theirs):
    name: str = _TEXT_PROMPT
    start: _Seconds
    end: _Seconds
    payload: _Payload | None

    @field_validator("payload", mode="before")
    @classmethod
    def _of_texts_only(cls, payload: object, info: ValidationInfo) -> object:
        return payload if info.data.get("name") == _TEXT_PROMPT else None  # other kinds hold what they like


_KEYSTROKES: Final = TypeAdapter(list[_Keystroke])
_PROMPTS: Final = TypeAdapter(list[_Prompt])

Gap = tuple[int, int]  # [first, after the last) missing sample


class Plan(BaseModel):
    """What an enrolment set out to record, so that one that was broken off can be gone on with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deck: int = Field(ge=0)  # the seed of its prompts
    wanted_s: float = Field(gt=0, allow_inf_nan=False)


class Segment(BaseModel):
    """A SegmentStart; its index counts from the recording's first sample."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_index: int = Field(ge=0)
    side: Side
    reason: Literal["reconnected", "restarted"]
    missing: int = Field(ge=0)
    uncertain: int = Field(ge=0)


class Ours(BaseModel):
    """What emg2qwerty's attributes cannot say, as JSON in the attribute `qwrist`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1, 2] = 2  # 1 had no segments, source and plan
    sides: tuple[Side, ...] = SIDES
    filtered: bool
    simulated: bool
    gaps: dict[Side, tuple[Gap, ...]] = {}
    segments: tuple[Segment, ...] = ()
    source: str = ""
    plan: Plan | None = None

    @property
    def starts(self) -> tuple[SegmentStart, ...]:
        """`segments` as they are known elsewhere."""
        return tuple(SegmentStart(**segment.model_dump()) for segment in self.segments)

    def validity(self, samples: int) -> Bool:
        """As (T, W). Raises BadSession for gaps beyond the recording."""
        valid = np.zeros((samples, WRISTS), np.bool_)
        for wrist, side in enumerate(SIDES):
            valid[:, wrist] = side in self.sides
            for start, stop in self.gaps.get(side, ()):
                if stop > samples:
                    raise BadSession(f"a gap of the {side} band ends at sample {stop} of {samples}")
                valid[start:stop, wrist] = False
        return valid

    @model_validator(mode="after")
    def _gaps_in_order(self) -> Self:
        for side, gaps in self.gaps.items():
            edges = [edge for gap in gaps for edge in gap]
            if any(b <= a for a, b in zip([-1, *edges], edges, strict=False)):
                raise ValueError(f"the gaps of the {side} band must be ascending and apart")
        return self


def gaps_of(sides: tuple[Side, ...], valid: Bool) -> dict[Side, tuple[Gap, ...]]:
    """From (T, W) validity; a band that was not worn needs no gaps."""
    return {side: _gaps(valid[:, wrist]) for wrist, side in enumerate(SIDES) if side in sides}


def _gaps(valid: Bool) -> tuple[Gap, ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[1], valid.astype(np.int8), [1]])))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


class Content(NamedTuple):
    """A file's content; `ours` is None where emg2qwerty wrote it."""

    name: str
    user: str
    condition: str
    time_s: Float64  # (T,)
    emg_uv: Float32  # (T, W, E)
    keys: tuple[KeyPress, ...]
    prompts: tuple[Prompt, ...]
    ours: Ours | None


def check_length(samples: int) -> None:
    """Raise BadSession for more than a session may hold."""
    if samples > LONGEST:
        hours = samples / RATE_HZ / 3600
        raise BadSession(f"it lasts {hours:.1f} h, a session at most {LONGEST_S / 3600:g} h; split it")


def write(path: Path, content: Content) -> None:
    """Write `content` over the file at `path`.

    Raises BadSession for what `read` would refuse, OSError where the disk has too little room.
    """
    if content.ours is None:
        raise BadSession("only a session with qwrist's own metadata can be written")
    check_length(len(content.time_s))
    attributes = _attributes(content, content.ours)
    require_room(path.parent, _room(content, attributes))
    with h5py.File(path, "w") as file:
        group = file.create_group(GROUP)
        table = group.create_dataset(
            TABLE,
            (len(content.time_s),),
            _RECORD,
            chunks=(min(_CHUNK, len(content.time_s)),),
            shuffle=True,
            compression=1,
        )
        for start in range(0, len(content.time_s), _SLICE):
            table[start : start + _SLICE] = _records(content, slice(start, start + _SLICE))
        group.attrs.update(attributes)


def _attributes(content: Content, ours: Ours) -> dict[str, str | float]:
    keystrokes = [_Keystroke(start=k.press_s, end=k.release_s, key=k.key) for k in content.keys]
    prompts = [_Prompt(start=p.start_s, end=p.end_s, payload=_Payload(text=p.text)) for p in content.prompts]
    return {
        "session_name": content.name,
        "user": content.user,
        "condition": content.condition,
        "duration_mins": float(content.time_s[-1] - content.time_s[0]) / 60,
        "keystrokes": _KEYSTROKES.dump_json(keystrokes).decode(),
        "prompts": _PROMPTS.dump_json(prompts).decode(),
        OURS: ours.model_dump_json(),
    }


def _room(content: Content, attributes: dict[str, str | float]) -> int:
    """Bytes that a file takes at most: HDF5 does not survive a disk that fills while it writes."""
    chunks = -(-len(content.time_s) // _CHUNK)
    texts = sum(len(text.encode()) for text in attributes.values() if isinstance(text, str))
    return chunks * (_CHUNK * _RECORD.itemsize + _CHUNK_OVERHEAD) + texts + _FILE_OVERHEAD


def _records(content: Content, part: slice) -> np.ndarray[Any, Any]:
    records = np.empty(len(content.time_s[part]), _RECORD)
    records["time"] = content.time_s[part]
    for wrist, side in enumerate(SIDES):
        records[f"emg_{side}"] = content.emg_uv[part, wrist]
    return records


def read(path: Path) -> Content:
    """Read a file of this layout, ours or theirs. Raises BadSession."""
    if not path.is_file():
        found = "it is a folder" if path.is_dir() else "there is no such file"
        raise BadSession(f"{found}; name a session file (.hdf5)")
    try:
        if not h5py.is_hdf5(path):
            raise BadSession("it is not an HDF5 file")
        with h5py.File(path, "r") as file:
            return _read_group(_member(file, GROUP, h5py.Group))
    except (OSError, RuntimeError, KeyError, ValueError, UnicodeError) as error:
        # whatever class h5py gives to what HDF5 says of a damaged file
        reason = re.sub(r"\s+", " ", str(error))[:160]
        raise BadSession(f"HDF5 cannot read it, it may be damaged or cut short ({reason})") from error


def _member(parent: h5py.Group, name: str, kind: type) -> Any:  # noqa: ANN401 - h5py is untyped
    link = parent.get(name, getlink=True)
    if link is None:
        found = ", ".join(sorted(parent)[:8]) or "nothing"
        raise BadSession(f"it has no {kind.__name__.lower()} {name!r} (found: {found})")
    if not isinstance(link, h5py.HardLink):
        raise BadSession(f"{name!r} is a link to elsewhere; links are not followed")
    member = parent[name]
    if not isinstance(member, kind):
        raise BadSession(f"{name!r} is not a {kind.__name__.lower()}")
    return member


def _read_group(group: h5py.Group) -> Content:
    table = _member(group, TABLE, h5py.Dataset)
    _check_fields(table)
    _check_storage(table)
    time_s = np.empty(len(table), np.float64)
    emg_uv = np.empty((len(table), WRISTS, ELECTRODES), np.float32)
    for start in range(0, len(table), _SLICE):
        records = table[start : start + _SLICE]
        time_s[start : start + _SLICE] = records["time"]
        for wrist, side in enumerate(SIDES):
            emg_uv[start : start + _SLICE, wrist] = records[f"emg_{side}"]
    return Content(
        _text(group, "session_name"),
        _text(group, "user"),
        _text(group, "condition"),
        time_s,
        emg_uv,
        tuple(KeyPress(k.key, k.start, k.end) for k in _json(group, "keystrokes", _KEYSTROKES)),
        tuple(
            Prompt(p.payload.text, p.start, p.end)
            for p in _json(group, "prompts", _PROMPTS)
            if p.payload is not None
        ),
        _json(group, OURS, TypeAdapter(Ours)) if OURS in group.attrs else None,
    )


def _check_fields(table: h5py.Dataset) -> None:
    names = table.dtype.names or ()
    for name in _RECORD.names or ():
        if name not in names:
            raise BadSession(f"{TABLE!r} has no field {name!r} (found: {', '.join(names) or table.dtype})")
        found, wanted = table.dtype[name], _RECORD[name]
        if found.shape != wanted.shape or found.base.kind != "f":
            raise BadSession(
                f"the field {name!r} holds {found.base} of shape {found.shape}, "
                f"expected {wanted.base} of shape {wanted.shape}"
            )
    if table.ndim != 1:
        raise BadSession(f"{TABLE!r} has {table.ndim} dimensions, expected 1")


def _check_storage(table: h5py.Dataset) -> None:
    if table.external is not None or table.is_virtual:
        raise BadSession(f"{TABLE!r} keeps its samples in other files, which are not opened")
    creation = table.id.get_create_plist()
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    if not filters <= _FILTERS:
        raise BadSession(f"{TABLE!r} is compressed by a filter other than gzip, lzf, shuffle and fletcher32")
    if table.chunks is not None and table.chunks[0] * table.dtype.itemsize > _LARGEST_CHUNK:
        raise BadSession(f"{TABLE!r} is stored in chunks of {table.chunks[0]} samples, too many to be read")
    declared, stored = len(table) * table.dtype.itemsize, table.id.get_storage_size()
    if declared > _HIGHEST_RATIO * stored:
        raise BadSession(f"{TABLE!r} declares {declared} bytes and stores {stored}: not a recording")
    check_length(len(table))
    if declared > (largest := LONGEST * _RECORD.itemsize):
        raise BadSession(f"{TABLE!r} has {declared} bytes, more than the {largest} that are read; split it")


def _text(group: h5py.Group, name: str) -> str:
    if name not in group.attrs:
        raise BadSession(f"the group {GROUP!r} has no attribute {name!r}")
    value = group.attrs[name]
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise BadSession(f"the attribute {name!r} holds {type(value).__name__}, expected a string")
    return value


def _json(group: h5py.Group, name: str, adapter: TypeAdapter[_T]) -> _T:
    try:
        return adapter.validate_json(_text(group, name))
    except ValidationError as error:
        raise BadSession(f"the attribute {name!r} is not what it must be: {first_fault(error)}") from None
