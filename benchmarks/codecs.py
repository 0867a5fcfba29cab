"""Bits a sample, bytes a second and air by codec, beside general codecs.

`python benchmarks/codecs.py [grabmyo_wrist_forearm.npz]`

Real gestures (GRABMyo, re-referenced to the common average, its 2048 Hz taken for 2000) and simulated typing.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from edge.samples import ELECTRODES, RATE_HZ, Float32
from firmware_bridge.airtime import Air, measure
from firmware_bridge.packet import HEADER_BYTES, Codec, Counts, Packet, decode, encode, quantize
from firmware_bridge.packetizer import Packetizer, PacketizerState
from simulate.wearer import Wearer

GRABMYO = Path(__file__).resolve().parents[2] / "shared/data/emg/grabmyo_wrist_forearm.npz"
MTUS = (185, 247, 517)
REPEATS = 7
BLOCKS = 300  # packets that are handed to general codecs, evenly from all trials
_DEFLATE_ALONE = -15  # zlib's window bits: 32 kB, no header
_LZMA = [{"id": lzma.FILTER_LZMA1, "preset": 9, "dict_size": 1 << 19, "lc": 0, "pb": 1}]  # 0.5 MB: a trial


class Signal(NamedTuple):
    """Trials of one kind, (T, E) microvolts each."""

    name: str
    trials: list[Float32]


def real(path: Path) -> Iterator[Signal]:
    with np.load(path) as stored:
        emg_uv = stored["emg_int16"] * np.float32(stored["mv_per_lsb"] * 1e3)
        forearm = np.array([name.startswith("F") for name in stored["channels"]])
    for name, ring in (("real, forearm", forearm), ("real, wrist", ~forearm)):
        ring_uv = emg_uv[:, :, ring]
        ring_uv = ring_uv - ring_uv.mean(axis=2, keepdims=True)
        whole = np.take(ring_uv, np.arange(ELECTRODES) % ring_uv.shape[2], axis=2)  # the wrist's has twelve
        yield Signal(name, list(whole))
        yield Signal(f"{name}, its strongest trial", [strongest(list(whole))])
    monopolar = list(emg_uv[:, :, forearm])
    yield Signal("real, forearm, monopolar", monopolar)
    yield Signal("real, forearm, monopolar, its strongest trial", [strongest(monopolar)])


def strongest(trials: list[Float32]) -> Float32:
    """By how much neighbouring samples differ: what a codec of differences has to write."""
    return max(trials, key=lambda trial: float(np.diff(trial, axis=0).std()))


def simulated() -> Iterator[Signal]:
    for difficulty in ("medium", "hard"):
        both_uv = [Wearer(user, difficulty).perform(0, duration_s=10).emg_uv for user in range(3)]
        yield Signal(f"simulated, {difficulty}", [emg_uv[:, wrist] for emg_uv in both_uv for wrist in (0, 1)])


def packets_of(emg_uv: Float32, codec: Codec, mtu: int) -> list[Packet]:
    step = Packetizer.for_mtu(codec, mtu).step
    return step(PacketizerState(), emg_uv, np.ones(len(emg_uv), np.bool_))[1]


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _DEFLATE_ALONE)
    return packer.compress(data) + packer.flush()


GENERAL: dict[str, Callable[[bytes], bytes]] = {
    "deflate": deflate,
    "bzip2": bz2.compress,
    "LZMA": lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=_LZMA),
}


def layouts(counts: Counts) -> Iterator[bytes]:
    """The ways to hand counts to a codec that knows nothing of them; it is judged by the best."""
    differences = np.diff(counts, axis=0, prepend=np.zeros_like(counts[:1])).T.copy()
    yield counts.tobytes()
    yield counts.T.tobytes()
    yield differences.tobytes()
    yield differences.view(np.uint8).reshape(-1, 2).T.tobytes()  # high bytes after low ones


def general_bits(compress: Callable[[bytes], bytes], blocks: list[Counts]) -> float:
    """Bits a sample in the layout that suits best."""
    sizes = np.array([[len(compress(data)) for data in layouts(block)] for block in blocks])
    return float(sizes.sum(axis=0).min()) * 8 / sum(block.size for block in blocks)


def flac_bits(blocks: list[Counts]) -> list[float]:
    """Bits a sample of FLAC, an electrode a file, headers taken off; nothing where soundfile is missing."""
    if find_spec("soundfile") is None:
        return []
    import soundfile

    def size(counts: Counts) -> int:
        file = BytesIO()
        soundfile.write(file, counts << 4, RATE_HZ, format="FLAC", subtype="PCM_16", compression_level=1.0)
        return len(file.getvalue())

    empty = size(np.zeros((4096, 1), np.int16))
    coded = sum(size(block[:, [e]]) - empty for block in blocks for e in range(ELECTRODES))
    return [coded * 8 / sum(block.size for block in blocks)]


def show_air(signal: Signal, codec: Codec) -> None:
    for mtu in MTUS:
        quiet, damaged = (
            [measure(trial, codec, mtu, air) for trial in signal.trials] for air in (Air(), Air(repeated=0.1))
        )
        samples, bits, data = np.mean([usage[:3] for usage in quiet], axis=0)
        both, again = (np.mean([usage.both for usage in usages]) for usages in (quiet, damaged))
        print(
            f"| {signal.name} | {codec.name.lower()} | {mtu} | {samples:.1f} | {bits:.2f} | {data:.0f} | "
            f"{both:.1%} | {again:.1%} |"
        )


def show_bits(signal: Signal) -> None:
    packets = [packet for trial in signal.trials for packet in packets_of(trial, Codec.RICE12, 247)]
    packets = packets[:: max(1, len(packets) // BLOCKS)]
    blocks = [packet.counts for packet in packets]
    whole = [quantize(trial, Codec.RICE12) for trial in signal.trials]
    row = [sum(len(encode(p)) - HEADER_BYTES for p in packets) * 8 / sum(block.size for block in blocks)]
    row += [general_bits(compress, part) for part in (blocks, whole) for compress in GENERAL.values()]
    row += flac_bits(whole)
    print(f"| {signal.name} | " + " | ".join(f"{bits:.2f}" for bits in row) + " |")


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def show_cost(signal: Signal) -> None:
    """Two bands' seconds of signal for a second of CPU, one thread."""
    emg_uv = signal.trials[0]
    packets = {codec: packets_of(emg_uv, codec, 247) for codec in Codec}
    wires = {codec: [encode(packet) for packet in packets[codec]] for codec in Codec}
    turns: dict[str, Callable[[], object]] = {}
    for codec in Codec:
        turns[f"{codec.name.lower()} fill"] = lambda c=codec: packets_of(emg_uv, c, 247)
        turns[f"{codec.name.lower()} encode"] = lambda c=codec: [encode(packet) for packet in packets[c]]
        turns[f"{codec.name.lower()} decode"] = lambda c=codec: [decode(wire) for wire in wires[c]]
    blocks = [packet.counts.T.tobytes() for packet in packets[Codec.RICE12]]
    turns["deflate encode"] = lambda: [deflate(block) for block in blocks]
    deflated = [deflate(block) for block in blocks]
    turns["deflate decode"] = lambda: [zlib.decompress(data, _DEFLATE_ALONE) for data in deflated]
    times = {name: median(cpu_s(turn) for _ in range(REPEATS)) for name, turn in turns.items()}
    both_s = len(emg_uv) / RATE_HZ / 2
    for name, taken_s in times.items():
        base = times["pack12 " + name.split()[1]]
        codec = Codec[name.split()[0].upper()] if not name.startswith("deflate") else Codec.RICE12
        each_us = taken_s / len(packets[codec]) * 1e6
        print(f"| {name} | {each_us:.0f} | {taken_s / base:.1f} | {both_s / taken_s:.0f} |")


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else GRABMYO
    signals = [*(real(path) if path.exists() else ()), *simulated()]
    print("| signal | codec | MTU | samples a packet | bits | bytes/s | both bands' air | 10 % repeated |")
    for codec in (Codec.RAW16, Codec.PACK12):
        show_air(Signal("any", signals[0].trials[:1]), codec)
    for signal in signals:
        show_air(signal, Codec.RICE12)
    names = [f"{name}, {what}" for what in ("same packets", "whole") for name in GENERAL]
    flac = ["FLAC, whole"] if find_spec("soundfile") else []
    print("\n| bits a sample | rice12, MTU 247 | " + " | ".join(names + flac) + " |")
    for signal in signals:
        if not signal.name.startswith("real, wrist"):  # four electrodes twice, which a general codec notices
            show_bits(signal)
    print(f"\n{signals[0].name}, MTU 247\n| CPU | us a packet | x pack12 | x real time, two bands |")
    show_cost(signals[0])


if __name__ == "__main__":
    main()
