"""Reading a torch checkpoint as data: its opcodes are interpreted here, so nothing in it can ever run.

A checkpoint is a zip of stored entries: `data.pkl`, a program for Python's unpickler, and the numbers of
each storage. An unpickler calls whatever the program names. This reader calls nothing: a name that it does
not know ends the reading, those of Lightning's settings become opaque, and only a tensor's description is
understood.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput

Array = npt.NDArray[Any]

# What reading a program that no pickler wrote ends in.
_DAMAGED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)
_LARGEST_PROGRAM: Final = 16 << 20  # bytes: the reference's take 0.1 MB
_MOST_OPCODES: Final = 2_000_000  # the reference's has some 10,000
_LARGEST_STORAGE: Final = 1 << 30  # bytes: its largest layer takes 2.4 MB
_MOST_TENSORS: Final = 10_000  # its networks have about 50

_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch BoolStorage": np.dtype("?"),
}
_REBUILD: Final = frozenset({"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"})
_MAPPINGS: Final = frozenset({"collections OrderedDict", "builtins dict", "__builtin__ dict"})
# Whose settings a Lightning checkpoint holds beside its weights; read past, never looked at.
_OPAQUE: Final = (
    *("omegaconf", "pytorch_lightning", "lightning", "lightning_fabric", "torchmetrics", "typing", "pathlib"),
    *("collections", "numpy", "hydra"),
)
_OPAQUE_NAMES: Final = frozenset(
    f"{module} {name}"
    for module in ("builtins", "__builtin__")
    for name in ("int", "float", "str", "bool", "list", "tuple", "set", "bytes", "object")
) | {"torch float32", "torch Size", "torch device", "torch.serialization _get_layout"}


class UnsafeCheckpoint(BadInput):
    """The file names something that no checkpoint of weights needs; nothing of it was run."""


class Stored(NamedTuple):
    """A storage in the zip, not yet read."""

    dtype: np.dtype[Any]
    key: str


class Strided(NamedTuple):
    """A tensor: a view of a storage, in elements."""

    storage: Stored
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(eq=False)  # so that it can be a key, as settings have them
class _Opaque:
    """Something that a checkpoint mentions and nobody here asks for; it takes whatever is put into it."""

    name: str


@dataclass(frozen=True)
class _Name:
    """A name of the file's, looked up nowhere."""

    name: str


@dataclass
class _Machine:
    """The unpickler's stack and memory, with nothing behind them."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def since_mark(self) -> list[Any]:
        """Take what was put on the stack since the last mark."""
        start = self.marks.pop()
        taken, self.stack[start:] = self.stack[start:], []
        return taken

    def pop(self, count: int) -> list[Any]:
        """Take the last `count`."""
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise IndexError("its stack is empty")
        taken, self.stack[-count:] = self.stack[-count:], []
        return taken


def read_program(program: bytes) -> Any:  # noqa: ANN401  (whatever the file describes)
    """What a pickle describes: values, Strided tensors, an opaque rest. Raises UnsafeCheckpoint, BadInput."""
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
            if opcode.name == "STOP":
                (value,) = machine.pop(1)
                return value
            if count > _MOST_OPCODES:
                raise BadInput(f"it takes more than {_MOST_OPCODES} steps to read")
            _step(machine, opcode.name, argument)
    except _DAMAGED as error:
        raise BadInput(f"its program is damaged ({error})") from None
    raise BadInput("its program has no end")


def _step(machine: _Machine, name: str, argument: Any) -> None:  # noqa: ANN401
    if name in _CONSTANTS:
        machine.stack.append(_CONSTANTS[name]())
    elif name in _LITERALS:
        machine.stack.append(argument)
    elif name in _ACTIONS:
        _ACTIONS[name](machine, argument)
    elif name not in _NOTHING_TO_DO:
        raise UnsafeCheckpoint(f"its program uses {name}, which no checkpoint needs")


def _global(machine: _Machine, argument: str) -> None:
    module, name = argument.split(" ", 1)
    machine.stack.append(_known(module, name))


def _stack_global(machine: _Machine, _: object) -> None:
    module, name = machine.pop(2)
    machine.stack.append(_known(str(module), str(name)))


def _known(module: str, name: str) -> _Name:
    full = f"{module} {name}"
    known = full in _DTYPES or full in _REBUILD or full in _MAPPINGS or full in _OPAQUE_NAMES
    if not known and module.split(".", maxsplit=1)[0] not in _OPAQUE:
        raise UnsafeCheckpoint(
            f"it names {module}.{name}, which no checkpoint of weights needs; nothing of it was run. Do not "
            "open it with torch.load either"
        )
    return _Name(full)


def _reduce(machine: _Machine, _: object) -> None:
    function, arguments = machine.pop(2)
    machine.stack.append(_called(function, list(arguments)))


def _new_with_keywords(machine: _Machine, _: object) -> None:
    made, arguments, _keywords = machine.pop(3)
    machine.stack.append(_called(made, list(arguments)))


def _called(made: Any, arguments: list[Any]) -> Any:  # noqa: ANN401
    """What calling `made` would give, as a description."""
    match made:
        case _Name("torch._utils _rebuild_tensor_v2"):
            storage, offset, shape, stride = arguments[:4]
            return Strided(storage, int(offset), tuple(shape), tuple(stride))
        case _Name("torch._utils _rebuild_parameter"):
            return arguments[0]
        case _Name(name) if name in _MAPPINGS:
            return dict(arguments[0]) if arguments else {}
        case _Name(name):
            return _Opaque(name)
        case _:
            raise UnsafeCheckpoint("it calls what is no name")


def _persistent(machine: _Machine, _: object) -> None:
    """Torch's own reference to a storage: ('storage', its type, key, device, elements)."""
    (reference,) = machine.pop(1)
    kind, dtype, key, _device, _elements = reference
    if kind != "storage" or not isinstance(dtype, _Name) or dtype.name not in _DTYPES:
        raise UnsafeCheckpoint(f"it refers to {kind!r} of {dtype}, which is no storage of numbers")
    machine.stack.append(Stored(_DTYPES[dtype.name], str(key)))


def _build(machine: _Machine, _: object) -> None:
    machine.pop(1)  # a state, which neither mappings nor opaque things take


def _append(machine: _Machine, _: object) -> None:
    (item,) = machine.pop(1)
    _put(machine, [item])


def _put(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, list):
        target.extend(items)
    elif isinstance(target, set):
        target.update(item for item in items if isinstance(item, (str, int)))
    elif not isinstance(target, _Opaque):
        raise TypeError(f"{type(target).__name__} holds no items")


def _set(machine: _Machine, pairs: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, dict):
        target.update(zip(pairs[::2], pairs[1::2], strict=True))
    elif not isinstance(target, _Opaque):
        raise TypeError(f"{type(target).__name__} holds no entries")


def _mark(machine: _Machine, _: object) -> None:
    machine.marks.append(len(machine.stack))


def _memoize(machine: _Machine, place: int | None) -> None:
    machine.memo[len(machine.memo) if place is None else place] = machine.stack[-1]


def _recall(machine: _Machine, place: int) -> None:
    machine.stack.append(machine.memo[place])


def _tuple(count: int) -> Callable[[_Machine, object], None]:
    return lambda machine, _: machine.stack.append(tuple(machine.pop(count)))


_CONSTANTS: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_LITERALS: Final = frozenset(
    (
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES"),
    )
)
_NOTHING_TO_DO: Final = frozenset({"PROTO", "FRAME"})
_ACTIONS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "BINPERSID": _persistent,
    "BUILD": _build,
    "MARK": _mark,
    "MEMOIZE": _memoize,
    "BINPUT": _memoize,
    "LONG_BINPUT": _memoize,
    "BINGET": _recall,
    "LONG_BINGET": _recall,
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": lambda machine, _: machine.stack.append(machine.since_mark()),
    "APPEND": _append,
    "APPENDS": lambda machine, _: _put(machine, machine.since_mark()),
    "ADDITEMS": lambda machine, _: _put(machine, machine.since_mark()),
    "SETITEM": lambda machine, _: _set(machine, machine.pop(2)),
    "SETITEMS": lambda machine, _: _set(machine, machine.since_mark()),
}


def read_weights(path: Path) -> dict[str, Array]:
    """The tensors of a Lightning checkpoint's `state_dict`, in order. Raises UnsafeCheckpoint, BadInput."""
    try:
        with zipfile.ZipFile(path) as archive:
            root, described = _program(archive)
            weights = described.get("state_dict") if isinstance(described, dict) else None
            if not isinstance(weights, dict) or not weights:
                raise BadInput("it holds no state_dict, so it is no checkpoint of Lightning's")
            if len(weights) > _MOST_TENSORS:
                raise BadInput(f"it holds {len(weights)} tensors, too many for a network of emg2qwerty")
            return {str(name): _tensor(archive, root, str(name), value) for name, value in weights.items()}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, KeyError, ValueError) as error:
        raise BadInput(f"it is not a whole checkpoint of torch 1.6 or newer ({error})") from None


def _program(archive: zipfile.ZipFile) -> tuple[str, Any]:
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise BadInput("it is not a checkpoint of torch 1.6 or newer: it holds no data.pkl, or several")
    return names[0].removesuffix("data.pkl"), read_program(_entry(archive, names[0], _LARGEST_PROGRAM))


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
        raise BadInput(
            f"its entry {name} is compressed or is longer than {most} bytes; torch writes none such"
        )
    return archive.read(info)


def _tensor(archive: zipfile.ZipFile, root: str, name: str, value: Any) -> Array:  # noqa: ANN401
    if not isinstance(value, Strided) or not isinstance(value.storage, Stored):
        raise BadInput(f"its entry {name} is no tensor")
    dtype = value.storage.dtype
    numbers = np.frombuffer(_entry(archive, f"{root}data/{value.storage.key}", _LARGEST_STORAGE), dtype)
    sizes = [*value.shape, *value.stride, value.offset]
    if len(value.shape) != len(value.stride) or not all(isinstance(n, int) and n >= 0 for n in sizes):
        raise BadInput(f"its tensor {name} has a shape that is none")
    if 0 in value.shape:
        return np.zeros(value.shape, dtype)
    steps = zip(value.shape, value.stride, strict=True)
    last = value.offset + sum((n - 1) * stride for n, stride in steps)
    if last >= len(numbers) or math.prod(value.shape) > len(numbers):
        raise BadInput(f"its tensor {name} reaches beyond its storage")
    strides = [stride * dtype.itemsize for stride in value.stride]
    view = np.lib.stride_tricks.as_strided(numbers[value.offset :], value.shape, strides, writeable=False)
    return view.copy()
