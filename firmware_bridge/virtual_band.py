"""A band without hardware: one side's GATT server on a bumble device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple, assert_never

from bumble import att, data_types
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address

from edge.samples import ELECTRODES, RATE_HZ, SIDES, Bool, Float32, Side
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
from firmware_bridge.gatt import (
    BAND_SERVICE,
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    CONTROL,
    DEVICE_INFORMATION_SERVICE,
    FIRMWARE_REVISION,
    MANUFACTURER_NAME,
    MODEL_NUMBER,
    STATUS,
    STREAM,
    Status,
    advertised_name,
    encode_status,
)
from firmware_bridge.packet import PROTOCOL_VERSION, Codec, Flags, Packet, encode, samples_per_packet
from firmware_bridge.packetizer import Packetizer, PacketizerState, packet_samples
from firmware_bridge.virtual_air import VirtualAir, VirtualController

_ADVERTISING_INTERVAL_MS: Final = 100.0
_TRANSMIT_QUEUE: Final = 32  # packets, 1/3 s at 517 bytes: as much as a small radio buffers, then it drops
_IMPEDANCES_KOHM: Final = (50.0,) * ELECTRODES  # dry electrodes on skin, their usual order
_READ: Final = Characteristic.Properties.READ
_READABLE: Final = Characteristic.READABLE


class Faults(NamedTuple):
    """What goes wrong with which packets, by sequence number since START (not wrapped)."""

    drop: frozenset[int] = frozenset()
    duplicate: frozenset[int] = frozenset()
    corrupt: frozenset[int] = frozenset()
    disconnect_at: int | None = None


NO_FAULTS: Final = Faults()


class DuePacket(NamedTuple):
    """A packet, and the sample count at which it is complete."""

    at_index: int
    packet: Packet


class VirtualBand:
    """One band: advertises, answers CONTROL and STATUS, sends the packets that it is handed."""

    def __init__(
        self,
        side: Side,
        air: VirtualAir,
        *,
        mtu: int = 517,
        battery_percent: int = 87,
        boot: int = 1,
        faults: Faults = NO_FAULTS,
        version: int = PROTOCOL_VERSION,
    ) -> None:
        self.side = side
        self.started = asyncio.Event()
        self.exhausted = False
        self._air = air
        self._boot = boot
        self._faults = faults
        self._version = version
        self._codec = Codec.RAW16
        self._answering: set[asyncio.Task[None]] = set()
        self._packing = PacketizerState()
        self._overflows = 0
        self._overflowed = False
        self._connection: Connection | None = None
        self._stream = Characteristic(
            STREAM, Characteristic.Properties.NOTIFY, Characteristic.Permissions(0), b""
        )
        self._control: Characteristic[bytes] = Characteristic(
            CONTROL,
            Characteristic.Properties.WRITE | Characteristic.Properties.INDICATE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self._on_control),
        )
        self._device = self._make_device(air, mtu)
        self._device.add_services(self._services(battery_percent))
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)

    async def power_on(self) -> None:
        """Start to advertise; again after each disconnection."""
        await self._device.power_on()
        await self._device.start_advertising(auto_restart=True)

    async def power_off(self) -> None:
        """Leave the air."""
        self.started.clear()
        await self._device.stop_advertising()
        await self.disconnect()
        await self._device.power_off()

    async def disconnect(self) -> None:
        """Drop the connection, as a band out of reach or out of power does."""
        if self._connection is not None:
            await self._connection.disconnect()

    @property
    def streaming(self) -> bool:
        """Whether START was the last word and the link stands."""
        return self.started.is_set() and self._connection is not None

    def pack(self, emg_uv: Float32, valid: Bool) -> list[DuePacket]:
        """Take (T, E) samples and (T,) validity; give the packets that they complete."""
        self._packing, packets = self._packetizer().step(self._packing, emg_uv, valid)
        return _due(packets)

    def pack_end(self) -> list[DuePacket]:
        """The rest, and the packet that ends the stream."""
        return _due(self._packetizer().end(self._packing))

    async def send(self, packet: Packet, *, may_drop: bool) -> None:
        """Notify `packet`. With `may_drop`, one that finds the transmit queue full is dropped and counted."""
        if packet.sequence == self._faults.disconnect_at:
            await self.disconnect()
        connection = self._connection
        if connection is None or not self.started.is_set() or packet.sequence in self._faults.drop:
            return
        if may_drop and self._transmit_queue() >= _TRANSMIT_QUEUE:
            self._overflows += 1
            self._overflowed = True
            return
        if self._overflowed:
            packet = packet._replace(flags=packet.flags | Flags.OVERFLOW)
            self._overflowed = False
        value = encode(packet)
        if packet.sequence in self._faults.corrupt:
            value = value[:-1] + bytes([value[-1] ^ 1])
        for _ in range(2 if packet.sequence in self._faults.duplicate else 1):
            await self._device.gatt_server.notify_subscriber(connection, self._stream, value)

    def _transmit_queue(self) -> int:
        queue = self._device.host.le_acl_packet_queue
        return 0 if queue is None else queue.pending

    def _packetizer(self) -> Packetizer:
        mtu = self._connection.att_mtu if self._connection else att.ATT_DEFAULT_MTU
        samples = max(1, packet_samples(self._codec, mtu))
        return Packetizer(self._codec, samples, self._boot)

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)

    def _on_disconnection(self, reason: int) -> None:
        self._connection = None
        self.started.clear()

    def _on_control(self, connection: Connection, value: bytes) -> None:
        try:
            answer = self._operate(decode_request(value).operation, connection)
            response = encode_response(value, Result.OK, answer)
        except RefusedRequest as refused:
            response = encode_response(value, refused.result)
        except BadPacket as error:
            raise att.ATT_Error(NO_REQUEST) from error
        # An indication waits for its confirmation, which comes after the answer to the write.
        task = asyncio.create_task(
            self._device.gatt_server.indicate_subscriber(connection, self._control, response)
        )
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _operate(self, operation: Operation, connection: Connection) -> Answer:
        """Do what is asked. Raises RefusedRequest."""
        match operation:
            case Config(preferred, accepted, rate_hz):
                return self._configure(preferred, accepted, rate_hz)
            case Start():
                if self.exhausted or not samples_per_packet(self._codec, connection.att_mtu):
                    raise RefusedRequest(Result.NOT_NOW, "nothing can be sent")
                self.started.set()
                packing = self._packing
                return Started(self._boot, packing.next_sequence, packing.next_index - len(packing.counts))
            case Stop():
                self.started.clear()
                return None
            case Ping():
                return Pinged(self._boot, self._packing.next_index)
            case MeasureImpedance():
                if self.started.is_set():
                    raise RefusedRequest(Result.NOT_NOW, "impedance is measured while nothing streams")
                return Impedances(_IMPEDANCES_KOHM)
            case Identify():
                return None
            case _:
                assert_never(operation)

    def _configure(self, preferred: Codec | None, accepted: frozenset[Codec], rate_hz: int) -> Configured:
        if self.started.is_set():
            raise RefusedRequest(Result.NOT_NOW, "a stream is not configured while it flows")
        if rate_hz != RATE_HZ or not accepted:
            raise RefusedRequest(Result.UNSUPPORTED, f"this band samples at {RATE_HZ} Hz")
        self._codec = preferred or max(accepted, key=lambda codec: codec.value)
        return Configured(self._codec, RATE_HZ)

    def _on_status(self, connection: Connection) -> bytes:
        status = Status(
            version=self._version,
            side=self.side,
            boot=self._boot,
            phy=2,
            rate_hz=RATE_HZ,
            mtu=connection.att_mtu,
            overflows=self._overflows,
            interval=round(connection.parameters.connection_interval / 1.25),
            lead_off=0,
            uptime_ms=1000 * self._packing.next_index // RATE_HZ,
            codec=self._codec.value,
            streaming=self.started.is_set(),
        )
        return encode_status(status)

    def _make_device(self, air: VirtualAir, mtu: int) -> Device:
        controller = VirtualController(f"{self.side} band", air)
        name = advertised_name(self.side, self._version)
        device = Device.from_config_with_hci(
            DeviceConfiguration(
                name=name,
                address=_address(self.side),
                advertising_interval_min=_ADVERTISING_INTERVAL_MS,
                advertising_interval_max=_ADVERTISING_INTERVAL_MS,
                advertising_data=_advertising_data(name),
            ),
            controller,
            controller,
        )
        device.gatt_server.max_mtu = mtu
        return device

    def _services(self, battery_percent: int) -> list[Service]:
        return [
            Service(
                BAND_SERVICE,
                [
                    self._stream,
                    self._control,
                    Characteristic(STATUS, _READ, _READABLE, CharacteristicValue(read=self._on_status)),
                ],
            ),
            Service(
                BATTERY_SERVICE,
                [Characteristic(BATTERY_LEVEL, _READ, _READABLE, bytes([battery_percent]))],
            ),
            Service(
                DEVICE_INFORMATION_SERVICE,
                [
                    Characteristic(MANUFACTURER_NAME, _READ, _READABLE, b"qwrist"),
                    Characteristic(MODEL_NUMBER, _READ, _READABLE, b"virtual band"),
                    Characteristic(FIRMWARE_REVISION, _READ, _READABLE, b"0.1.0"),
                ],
            ),
        ]


def _due(packets: Iterable[Packet]) -> list[DuePacket]:
    return [DuePacket(packet.first_index + len(packet.counts), packet) for packet in packets]


def _address(side: Side) -> Address:
    """A static random address (top bits 11) for each side."""
    return Address(f"C0:51:57:00:00:0{SIDES.index(side) + 1}")


def _advertising_data(name: str) -> bytes:
    flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
    return bytes(
        AdvertisingData(
            [
                data_types.Flags(flags),
                data_types.CompleteListOf128BitServiceUUIDs([UUID(BAND_SERVICE)]),
                data_types.CompleteLocalName(name),
            ]
        )
    )
