"""A band without hardware: what its firmware does, over a real GATT server."""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Sequence
from typing import Final, NamedTuple, assert_never

import numpy as np
from bumble import att
from bumble.device import Connection
from bumble.gatt import Service

from edge.samples import ELECTRODES, RATE_HZ, Bool, Float32, Side
from firmware_bridge.band_script import (
    Change,
    Claims,
    Discharge,
    Drift,
    Leave,
    LoseContact,
    Mistreat,
    Radio,
    Restart,
    Return,
)
from firmware_bridge.control import (
    NO_REQUEST,
    Answer,
    Config,
    Configured,
    Identify,
    Impedances,
    MeasureImpedance,
    Operation,
    Ping,
    Pinged,
    RefusedRequest,
    Result,
    Start,
    Started,
    Stop,
    decode_request,
    encode_response,
)
from firmware_bridge.errors import BadPacket
from firmware_bridge.gatt import Status, advertised_name, encode_status
from firmware_bridge.packet import PROTOCOL_VERSION, Codec, Flags, Packet, encode, samples_per_packet
from firmware_bridge.packetizer import Packetizer
from firmware_bridge.virtual_air import Pacer, VirtualController
from firmware_bridge.virtual_clock import VirtualClock
from firmware_bridge.virtual_peripheral import Answers, Hci, Peripheral, Profile, address_of, any_address
from firmware_bridge.virtual_sampler import DuePacket, Sampler

_TRANSMIT_QUEUE: Final = 32  # packets, 1/3 s at 517 bytes: as much as a small radio buffers, then it drops
_STEP_DOWN_TICKS: Final = 10 * RATE_HZ  # two overflows within so long: the radio does not carry this codec
_IMPEDANCE_KOHM: Final = 50.0  # dry electrodes on skin, their usual order
_RAIL_UV: Final = 6553.4  # the amplifier's, where an electrode touches nothing: packet.Codec's largest value
_MODELLED_PHY: Final = 2  # a virtual radio's pace is that of 2M: band_script's PDUs an event
_MINUTE_TICKS: Final = 60 * RATE_HZ


class Faults(NamedTuple):
    """What goes wrong with which packets, by sequence number since boot (not wrapped)."""

    drop: frozenset[int] = frozenset()
    duplicate: frozenset[int] = frozenset()
    corrupt: frozenset[int] = frozenset()
    disconnect_at: int | None = None


NO_FAULTS: Final = Faults()


class BandOptions(NamedTuple):
    """What a virtual band is like."""

    mtu: int = 517
    battery_percent: float = 87.0
    boot: int = 1
    faults: Faults = NO_FAULTS
    claims: Claims = Claims()
    seed: int = 0
    encrypted: bool = False
    more_services: Sequence[Service] = ()


class _Battery(NamedTuple):
    """A level that falls evenly."""

    percent: float
    tick: float = 0.0  # when it was that
    per_min: float = 0.0

    def level(self, tick: float) -> int:
        """Whole percents at `tick`."""
        return int(max(0.0, self.percent - self.per_min * (tick - self.tick) / _MINUTE_TICKS))


class Listener(enum.Enum):
    """Whether a host takes the stream."""

    NOBODY = enum.auto()  # none has asked, or it has asked to stop
    STREAMING = enum.auto()
    LOST = enum.auto()  # it was, until the link broke


class VirtualBand:
    """One band: advertises, answers CONTROL and STATUS, samples what it is handed and sends packets."""

    def __init__(
        self,
        side: Side,
        hci: Hci | VirtualController,
        clock: VirtualClock,
        options: BandOptions,
    ) -> None:
        self.side = side
        self.controller = hci if isinstance(hci, VirtualController) else None
        self.started = asyncio.Event()  # set while the listener is STREAMING
        self.listener = Listener.NOBODY
        self.exhausted = False  # nothing will be sampled any more
        self._end: Packet | None = None  # what the stream ended with: hosts that come back are told
        self._first_sequence = 0  # since START: what was packed before it is not sent after it
        self.sent = 0  # notifications of STREAM
        self.identified_s: int | None = None  # for how long it was last asked to blink
        self.sampler = Sampler(options.boot)
        self._clock = clock
        self._options = options
        self._random = random.Random(f"{options.seed} {side}")
        self._mistreated: dict[str, float] = {}  # kind: percent
        self._codec = Codec.RAW16
        self._accepted: frozenset[Codec] = frozenset()
        self._battery = _Battery(options.battery_percent)
        self._battery_told = int(options.battery_percent)
        self._lead_off: frozenset[int] = frozenset()
        self.overflows = 0  # packets dropped since boot because the radio was behind
        self._overflowed_at: float | None = None
        self._overflow_untold = False
        claims = options.claims
        name = advertised_name(
            claims.side or side, PROTOCOL_VERSION if claims.version is None else claims.version
        )
        address = any_address() if self.controller is None else address_of(side)
        self._peripheral = Peripheral(
            Profile(name, address, options.mtu, options.encrypted, radio=self.controller is None),
            Hci(hci, hci) if isinstance(hci, VirtualController) else hci,
            Answers(self._on_control, self._on_status, self._on_battery, self._on_disconnection),
            options.more_services,
        )

    async def power_on(self) -> None:
        """Start to advertise; again after each disconnection."""
        await self._peripheral.power_on()
        await self._peripheral.appear()

    async def power_off(self) -> None:
        """Leave the air."""
        await self._peripheral.vanish()
        await self._peripheral.power_off()

    def wait_until(self, tick: int) -> None:
        """Its source begins at `tick`: there are no samples before it."""
        if self.streaming:
            self.sampler.wait_until(tick)

    async def disconnect(self) -> None:
        """Drop the connection; the band is in reach and is heard again."""
        await self._peripheral.disconnect()

    @property
    def streaming(self) -> bool:
        """Whether START was the last word and the link stands."""
        return self.listener is Listener.STREAMING

    @property
    def connected(self) -> bool:
        """Whether a host is connected."""
        return self._peripheral.connection is not None

    @property
    def in_reach(self) -> bool:
        """Whether a host can connect."""
        return self._peripheral.in_reach

    @property
    def awaited(self) -> bool:
        """Whether its host is to come back: the link broke while it streamed, and it is in reach again."""
        return self.listener is Listener.LOST and self.in_reach

    def give_up(self) -> None:
        """Nobody came back."""
        self.listener = Listener.NOBODY

    async def apply(self, change: Change) -> None:
        """Do what a script says."""
        tick = self._clock.tick()
        match change:
            case Leave():
                await self._peripheral.vanish()
            case Return():
                await self._peripheral.appear()
            case Restart():
                self._restart(tick)
            case Mistreat(kind, percent):
                self._mistreated[kind] = percent
            case Discharge(percent, per_min):
                self._battery = _Battery(percent, tick, per_min)
                await self.look_at_battery()
            case LoseContact(electrodes):
                self._lead_off = electrodes
                await self._peripheral.tell_status()
            case Drift(ppm):
                self.sampler.drift(ppm)
            case Radio():
                self._pace(change)
            case _:
                assert_never(change)

    async def look_at_battery(self) -> None:
        """Tell the battery's level where it has changed by a percent."""
        if (percent := self._battery.level(self._clock.tick())) != self._battery_told:
            self._battery_told = percent
            await self._peripheral.tell_battery()

    def pack(self, first_tick: int, emg_uv: Float32, valid: Bool) -> list[DuePacket]:
        """Take (T, E) samples and (T,) validity from `first_tick` on; give the packets that they complete."""
        if self._lead_off:
            emg_uv = emg_uv.copy()
            emg_uv[:, sorted(self._lead_off)] = np.float32(_RAIL_UV)
        return self.sampler.take(first_tick, emg_uv, valid, self._packetizer() if self.streaming else None)

    def pack_end(self) -> list[DuePacket]:
        """The rest, and the packet that ends the stream."""
        return self.sampler.end(self._packetizer()) if self.streaming else []

    def finish(self) -> None:
        """The source has come to its end, whether the host has heard it or not."""
        if self._end is None:
            self.sampler.forget()
            self._end = self.sampler.end(self._packetizer())[-1].packet

    async def send(self, packet: Packet) -> None:
        """Notify `packet`; one that finds the transmit queue full is dropped and counted."""
        if packet.flags & Flags.END:
            self.exhausted, self._end = True, packet
        faults = self._options.faults
        if packet.sequence == faults.disconnect_at:
            await self.disconnect()
        stale = packet.boot != self.sampler.boot or packet.sequence < self._first_sequence
        if not self.streaming or stale or packet.sequence in faults.drop:
            return
        if not packet.flags & Flags.END and self._peripheral.queued >= _TRANSMIT_QUEUE:
            await self._overflow()
            return
        if self._overflow_untold:
            packet = packet._replace(flags=packet.flags | Flags.OVERFLOW)
            self._overflow_untold = False
        lost, twice, damaged = (self._strikes(kind, packet) for kind in ("loss", "duplicate", "corrupt"))
        value = encode(packet)
        if damaged or packet.sequence in faults.corrupt:
            value = value[:-1] + bytes([value[-1] ^ 1])
        copies = 0 if lost else 2 if twice or packet.sequence in faults.duplicate else 1
        for _ in range(copies):
            await self._peripheral.send(value)
        self.sent += copies

    def _strikes(self, kind: str, packet: Packet) -> bool:
        """Whether a script's mistreatment hits; the end, which only replayed bands have, is spared."""
        percent = 0.0 if packet.flags & Flags.END else self._mistreated.get(kind, 0.0)
        return percent > 0 and self._random.random() * 100 < percent

    async def _overflow(self) -> None:
        now, before = self._clock.tick(), self._overflowed_at
        self.overflows += 1
        self._overflow_untold = True
        self._overflowed_at = now
        smaller = [codec for codec in self._accepted if codec.value > self._codec.value]
        if before is not None and now - before <= _STEP_DOWN_TICKS and smaller:
            self._codec = min(smaller, key=lambda codec: codec.value)
            self._overflowed_at = None
            await self._peripheral.tell_status()

    def _packetizer(self) -> Packetizer:
        connection = self._peripheral.connection
        mtu = connection.att_mtu if connection else att.ATT_DEFAULT_MTU
        return Packetizer.for_mtu(self._codec, mtu, self.sampler.boot)

    def _restart(self, tick: float) -> None:
        self.sampler = Sampler((self.sampler.boot + 1) % 256, tick, self.sampler.crystal.ppm)
        self._codec, self._accepted = Codec.RAW16, frozenset()
        self.overflows = 0
        self._overflowed_at = None
        self._overflow_untold = False
        self._end = None

    def _pace(self, radio: Radio) -> None:
        if self.controller is None:
            return  # a real controller keeps its own time
        if self.controller.pacer is None:
            self.controller.pacer = Pacer(radio, f"{self._options.seed} {self.side} radio")
        else:
            self.controller.pacer.radio = radio

    def _on_disconnection(self) -> None:
        self.started.clear()
        if self.listener is Listener.STREAMING:
            self.listener = Listener.LOST

    def _on_control(self, connection: Connection, value: bytes) -> None:
        answer: Answer = None
        try:
            answer = self._operate(decode_request(value).operation, connection)
            response = encode_response(value, Result.OK, answer)
        except RefusedRequest as refused:
            response = encode_response(value, refused.result)
        except BadPacket as error:
            raise att.ATT_Error(NO_REQUEST) from error
        self._peripheral.answer(connection, response)
        if isinstance(answer, Started) and self._end is not None:
            self._peripheral.soon(self.send(self._end))

    def _operate(self, operation: Operation, connection: Connection) -> Answer:
        """Do what is asked. Raises RefusedRequest."""
        match operation:
            case Config(preferred, accepted, rate_hz):
                return self._configure(preferred, accepted, rate_hz)
            case Start():
                return self._start(connection)
            case Stop():
                self.started.clear()
                self.listener = Listener.NOBODY
                return None
            case Ping():
                return Pinged(self.sampler.boot, self.sampler.current(self._clock.tick()))
            case MeasureImpedance():
                if self.streaming:
                    raise RefusedRequest(Result.NOT_NOW, "impedance is measured while nothing streams")
                return Impedances(
                    tuple(float("inf") if e in self._lead_off else _IMPEDANCE_KOHM for e in range(ELECTRODES))
                )
            case Identify(duration_s):
                self.identified_s = duration_s
                return None
            case _:
                assert_never(operation)

    def _start(self, connection: Connection) -> Started:
        if self.exhausted and self._end is not None:
            numbering = self._end.sequence, self._end.first_index
        elif self.exhausted or not samples_per_packet(self._codec, connection.att_mtu):
            raise RefusedRequest(Result.NOT_NOW, "nothing can be sent")
        else:
            if not self.streaming:
                self.sampler.begin(self._clock.tick())
            numbering = self.sampler.numbering
        if not self.streaming:
            self._first_sequence, _ = numbering
        self.listener = Listener.STREAMING
        self.started.set()
        return Started(self.sampler.boot, *numbering)

    def _configure(self, preferred: Codec | None, accepted: frozenset[Codec], rate_hz: int) -> Configured:
        if self.streaming:
            raise RefusedRequest(Result.NOT_NOW, "a stream is not configured while it flows")
        if rate_hz != RATE_HZ or not accepted:
            raise RefusedRequest(Result.UNSUPPORTED, f"this band samples at {RATE_HZ} Hz")
        codec = preferred or max(accepted, key=lambda codec: codec.value)
        if codec is not self._codec:
            self._codec = codec
            self._peripheral.soon(self._peripheral.tell_status())
        self._accepted = accepted
        self._overflowed_at = None
        return Configured(self._codec, RATE_HZ)

    def _on_status(self, connection: Connection) -> bytes:
        claims = self._options.claims
        tick = self._clock.tick()
        pacer = self.controller and self.controller.pacer
        interval_ms = pacer.radio.interval_ms if pacer else connection.parameters.connection_interval
        status = Status(
            version=PROTOCOL_VERSION if claims.version is None else claims.version,
            side=claims.side or self.side,
            boot=self.sampler.boot,
            phy=self._peripheral.phy if self.controller is None else _MODELLED_PHY,
            rate_hz=RATE_HZ if claims.rate_hz is None else claims.rate_hz,
            mtu=connection.att_mtu,
            overflows=self.overflows,
            interval=round(interval_ms / 1.25),
            lead_off=sum(1 << electrode for electrode in self._lead_off),
            uptime_ms=self.sampler.current(tick) * 1000 // RATE_HZ,
            codec=self._codec.value,
            streaming=self.streaming,
        )
        return encode_status(status)

    def _on_battery(self, connection: Connection) -> bytes:
        return bytes([self._battery.level(self._clock.tick())])
