"""What a band's firmware must do, told in Python: reference packetizer and control point, and a few rules."""

from __future__ import annotations

import enum

import numpy as np

from edge.samples import RATE_HZ, SIDES
from firmware_bridge.control import (
    Config,
    Configured,
    Identify,
    Impedances,
    MeasureImpedance,
    Opcode,
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
from firmware_bridge.gatt import Status, encode_status
from firmware_bridge.packet import MAX_VALUE_BYTES, PROTOCOL_VERSION, Codec, Flags, encode
from firmware_bridge.packetizer import Packetizer, PacketizerState, packet_samples
from tests.mcu.banding import IDENTIFY, MEASURE, NOTHING, REFUSE_WRITE, Answer, Link

STEP_WITHIN = 10 * RATE_HZ
NO_LINK = Link(1, 23, 0)


class State(enum.Enum):
    IDLE = enum.auto()
    STREAMING = enum.auto()
    MEASURING = enum.auto()


class Model:
    """A band of one boot. `microvolts` says what 16-bit counts are to a codec."""

    def __init__(self, traits, microvolts):
        self.traits, self.link, self.state = traits, NO_LINK, State.IDLE
        self.has = frozenset(codec for codec in Codec if traits.codecs >> codec.value & 1)
        self.codec = min(self.has, key=lambda codec: codec.value)
        self.accepted = frozenset()
        self.index = self.sequence = self.overflows = self.lead_off = 0
        self.overflowed_at = None
        self.untold = self.changed = False
        self.asked = b""
        self.packing, self.packetizer = PacketizerState(), None
        self._microvolts = microvolts

    def connect(self, link):
        self.link = link
        if self.state is State.STREAMING and not packet_samples(self.codec, link.mtu):
            self.state = State.IDLE

    def disconnect(self):
        self.link, self.state = NO_LINK, State.IDLE

    def push(self, counts):
        packets = []
        for sample in counts:
            if self.state is State.STREAMING:
                if self.packetizer is None:
                    self.packetizer = self._new_packetizer()
                emg_uv = self._microvolts(sample[None], self.packetizer.codec)
                packets += self._step(emg_uv)
            self.index += 1
        return packets

    def skip(self, count):
        packets = []
        if self.state is State.STREAMING and count and self.packetizer is not None:
            *flushed, _ = self.packetizer.end(self.packing)
            packets = [self._sent(packet) for packet in flushed]
            self.packetizer = None
        self.index += count
        if count:
            self.packing = PacketizerState(next_index=self.index, next_sequence=self.sequence)
        return packets

    def overflow(self):
        self.overflows += 1
        self.untold = True
        smaller = [codec for codec in self.accepted & self.has if codec.value > self.codec.value]
        again = self.overflowed_at is not None and self.index - self.overflowed_at <= STEP_WITHIN
        self.overflowed_at = self.index
        if again and smaller:
            self.codec = min(smaller, key=lambda codec: codec.value)
            self.overflowed_at = None
            self.changed = True

    def tell_lead_off(self, bitmap):
        self.changed |= bitmap != self.lead_off
        self.lead_off = bitmap

    def status(self):
        changed, self.changed = self.changed, False
        status = Status(
            version=PROTOCOL_VERSION,
            side=SIDES[self.traits.side],
            boot=self.traits.boot,
            phy=self.link.phy,
            rate_hz=RATE_HZ,
            mtu=self.link.mtu,
            overflows=self.overflows,
            interval=self.link.interval,
            lead_off=self.lead_off,
            uptime_ms=self.index * 1000 // RATE_HZ & 0xFFFFFFFF,
            codec=self.codec.value,
            streaming=self.state is State.STREAMING,
        )
        return changed, encode_status(status)

    def control(self, request, waiting):
        if len(request) < 2:
            return Answer(REFUSE_WRITE, 0, b"")
        absent = {
            Opcode.IMPEDANCE: not self.traits.measures_impedance,
            Opcode.IDENTIFY: not self.traits.identifies,
        }
        if absent.get(request[0]):
            return Answer(NOTHING, 0, encode_response(request, Result.UNSUPPORTED))
        try:
            operation = decode_request(request).operation
            answer = self._operate(operation, waiting)
        except RefusedRequest as refused:
            return Answer(NOTHING, 0, encode_response(request, refused.result))
        if isinstance(operation, MeasureImpedance):
            self.asked = request
            return Answer(MEASURE, 0, b"")
        data = encode_response(request, Result.OK, answer)
        if isinstance(operation, Identify):
            return Answer(IDENTIFY, operation.duration_s, data)
        return Answer(NOTHING, 0, data)

    def impedances(self, steps):
        if self.state is not State.MEASURING:
            return Answer(NOTHING, 0, b"")
        self.state = State.IDLE
        kohm = tuple(float("inf") if step == 0xFFFF else step / 10 for step in steps)
        return Answer(NOTHING, 0, encode_response(self.asked, Result.OK, Impedances(kohm)))

    def _operate(self, operation, waiting):
        match operation:
            case Start():
                return self._start()
            case Stop():
                self.state = State.IDLE if self.state is State.STREAMING else self.state
                return None
            case Config(preferred, accepted, rate_hz):
                return self._configure(preferred, accepted, rate_hz)
            case Ping():
                return Pinged(self.traits.boot, self.index + waiting)
            case MeasureImpedance():
                self._insist(self.state is State.IDLE, Result.NOT_NOW)
                self.state = State.MEASURING
                return None
            case Identify():
                return None
        raise BadPacket("no operation")

    def _start(self):
        able = self.state is not State.MEASURING and packet_samples(self.codec, self.link.mtu)
        self._insist(able, Result.NOT_NOW)
        if self.state is State.IDLE:
            self.packing = PacketizerState(next_index=self.index, next_sequence=self.sequence)
            self.packetizer = None
        self.state = State.STREAMING
        return Started(self.traits.boot, self.sequence, self.index - len(self.packing.counts))

    def _configure(self, preferred, accepted, rate_hz):
        self._insist(self.state is State.IDLE, Result.NOT_NOW)
        self._insist(rate_hz == RATE_HZ and accepted & self.has, Result.UNSUPPORTED)
        smallest = max(accepted & self.has, key=lambda codec: codec.value)
        codec = preferred if preferred in self.has else smallest
        self.changed |= codec is not self.codec
        self.codec, self.accepted, self.overflowed_at = codec, accepted, None
        return Configured(codec, rate_hz)

    def _insist(self, able, result):
        if not able:
            raise RefusedRequest(result, "the band refuses")

    def _new_packetizer(self):
        """What is negotiated counts from a packet's first sample on."""
        mtu, codec = self.link.mtu, self.codec
        return Packetizer(codec, packet_samples(codec, mtu), self.traits.boot, min(mtu - 3, MAX_VALUE_BYTES))

    def _step(self, emg_uv):
        self.packing, packets = self.packetizer.step(self.packing, emg_uv, np.array([True]))
        if packets:
            self.packetizer = self._new_packetizer() if len(self.packing.counts) else None
        return [self._sent(packet) for packet in packets]

    def _sent(self, packet):
        flags = Flags.OVERFLOW if self.untold else Flags.NONE
        self.untold = False
        self.sequence = (packet.sequence + 1) & 0xFFFF
        return encode(packet._replace(flags=flags))
