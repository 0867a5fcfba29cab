"""DECODE as a bumble service: a pipeline on a source of samples, and what it says as notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from bumble.gatt import Service

from edge.charset import CHARSET
from edge.ctc import settled
from edge.edits import edit_step
from edge.manifest import Form, ModelManifest
from edge.pipeline import HeardKey, Pipeline
from edge.runtimes import ModelInput, Runtime, State
from edge.samples import Float32, SampleSource
from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.device import decode_messages as wire
from firmware_bridge.device.decode_messages import Kind, Mode, Precision
from firmware_bridge.device.notifying import Asked, readable


class Decoder(NamedTuple):
    """What a device decodes, with what, and what becomes of it on the way."""

    source: SampleSource
    manifest: ModelManifest
    runtime: Runtime
    lose: frozenset[int] = frozenset()  # notifications that are never sent, by their number


@dataclass
class _Overheard:
    """A runtime, and what it said since that was last asked."""

    inner: Runtime
    said: list[Float32] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def form(self) -> Form:
        return self.inner.form

    def initial_state(self) -> State:
        return self.inner.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        log_probs, after = self.inner.run(x, state)
        self.said.append(log_probs)
        return log_probs, after

    def taken(self) -> Float32:
        """(n, K), as it was said."""
        said = np.concatenate([np.zeros((0, CHARSET.num_classes), np.float32), *self.said])
        self.said.clear()
        return said


class DecodeService:
    """Decodes from the first START on, while a host listens, and tells what it was asked for."""

    def __init__(
        self, model: wire.Model, decoder: Decoder | None, quiet: Callable[[], Awaitable[None]]
    ) -> None:
        """Without a `decoder` START is refused. `quiet` waits until all that was sent has arrived."""
        self._model, self._decoder, self._quiet = model, decoder, quiet
        self._asked = Asked(wire.CONTROL, wire.OUT, self._operate)
        self._asking = wire.Start(Mode.BOTH)
        self._listening = asyncio.Event()
        self._sequence = self._emissions = self._standing = 0
        self._begun = False
        self.service = Service(
            wire.SERVICE,
            [readable(wire.MODEL, lambda: wire.encode_model(model)), self._asked.control, self._asked.out],
        )

    async def close(self) -> None:
        """End what is under way."""
        await self._asked.close()

    def _operate(self, value: bytes) -> bytes:
        operation = wire.decode_request(value)
        if isinstance(operation, wire.Stop):
            self._listening.clear()
            return wire.encode_answer(wire.Stopped(self._sequence, self._emissions))
        if self._decoder is None:
            raise RefusedRequest(Result.NOT_NOW, "there are no samples to decode")
        self._asking = operation
        self._listening.set()
        if not self._begun:
            self._begun = True
            self._asked.later(self._decode(self._decoder))
        return wire.encode_answer(wire.Started(self._model.boot, self._sequence, self._emissions))

    async def _decode(self, decoder: Decoder) -> None:
        overheard = _Overheard(decoder.runtime)
        pipeline = Pipeline(decoder.manifest, overheard, filtered=decoder.source.info.filtered)
        state, settling = (
            pipeline.initial_state(),
            decoder.manifest.settling_frames // decoder.manifest.stride,
        )
        async with aclosing(decoder.source.chunks()) as chunks:
            async for chunk in chunks:
                state, keys = await asyncio.to_thread(pipeline.step, state, chunk)
                await self._heard()
                said = settled(overheard.taken(), settling - self._emissions)
                for kind, content in self._notifications(said, keys):
                    await self._tell(kind, content)
                self._emissions += len(said)
                await self._quiet()
        await self._heard()
        await self._tell(*wire.end_piece(self._emissions))

    async def _heard(self) -> None:
        """Wait for a host that listens: this device's samples wait as well."""
        while not (self._listening.is_set() and self._asked.connection):
            self._listening.clear()  # a link that is gone asked for nothing more
            await self._listening.wait()

    def _notifications(self, said: Float32, keys: list[HeardKey]) -> Iterator[tuple[Kind, bytes]]:
        mode, precision = self._asking
        if Mode.EMISSIONS in mode:
            yield from wire.pieces(self._emissions, said, Precision(precision), self._asked.size)
        self._standing, edit = edit_step(self._standing, [key.label for key in keys])
        if Mode.TEXT in mode:
            yield from wire.edit_pieces(edit, self._asked.size)

    async def _tell(self, kind: Kind, content: bytes) -> None:
        number, self._sequence = self._sequence, self._sequence + 1
        if self._decoder is not None and number not in self._decoder.lose:
            await self._asked.notify(wire.encode_told(number, kind, content))
