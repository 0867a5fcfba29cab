"""What decoders cost, and what a language model is worth, on simulated wearers.

    python benchmarks/decoders.py                     # speed: a minute's emissions, all decoders in one run
    python benchmarks/decoders.py --cer FOLDER        # CER of six wearers; their emissions are kept in FOLDER

The second personalizes six wearers from the base (8 minutes each, 2 CPU-minutes a wearer). What they type are
decks of qwrist's own prompts and, where ../shared/data is there, prompts that were shown to real typists. The
English model is of a word list without a sentence, so it has no text in common with either. Its weights were
chosen on wearers 301 to 303; the others only report.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from edge.beam import Beam
from edge.charset import CHARSET
from edge.ctc import greedy
from edge.decoder import Decode, decode_all
from edge.lm import LanguageModel, Weighted, build, english
from edge.samples import Float32
from edge.scoring import score
from edge.session import Session, write_session
from edge.store import UserStore
from personalize import base
from personalize import recipe as recipes
from personalize.evaluate import session_emissions
from personalize.fit import personalize_user
from personalize.labels import labels_of
from personalize.model import describe, load_model
from personalize.reference import TorchRuntime, in_long_chunks
from simulate.recording import to_session
from simulate.wearer import Wearer

EMISSIONS_HZ = 62.5
VALIDATION, TEST = (301, 302, 303), (304, 305, 306)  # none of them is one of the base's
DIFFICULTIES = ("medium", "mid")
TRAIN_S, VALIDATE_S, TEST_S = 480.0, 120.0, 180.0
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


class Typed(NamedTuple):
    log_probs: Float32  # (T, K)
    labels: list[int]  # that were typed


def beams(lm: LanguageModel) -> Iterator[tuple[str, Decode]]:
    for width in (10, 50, 200):
        for name, model in (("", None), (" + English 6-gram", lm)):
            beam = Beam(model, width=width)
            yield f"beam {width}{name}", lambda log_probs, beam=beam: decode_all(beam, log_probs)


def peers() -> Iterator[tuple[str, Decode]]:
    """Independent decoders, those that are installed."""
    try:
        import fast_ctc_decode as fast
    except ModuleNotFoundError:
        return
    alphabet = "".join(chr(0x100 + label) for label in range(CHARSET.num_classes))  # its blank comes first

    def search(log_probs: Float32) -> list[int]:
        first = np.exp(np.roll(log_probs, 1, axis=1))
        text, _ = fast.beam_search(first, alphabet, beam_size=50, beam_cut_threshold=1e-3)
        return [ord(c) - 0x101 for c in text]

    yield "fast-ctc-decode, beam 50 (Rust)", search


def speed() -> None:
    """CPU seconds, so that a busy machine does not count."""
    session = to_session(Wearer(31).perform(0, duration_s=60.0))
    network = base.load()
    prior = base.card().normalization.prior
    manifest = describe(network, user="sim", simulated=True, sides=frozenset(session.sides), prior=prior)
    heard = session_emissions(TorchRuntime(network, in_long_chunks(manifest.form)), manifest, session)
    decoders = [("greedy", greedy), *beams(english()), *peers()]
    for _, decode in decoders:
        decode(heard[:500])  # first touches
    times = {name: min(_cpu_s(decode, heard) for _ in range(3)) for name, decode in decoders}
    seconds = len(heard) / EMISSIONS_HZ
    print(f"{seconds:.0f} s of typing, read by the base, which never met the wearer (simulated)")
    for name, cpu_s in times.items():
        print(f"{name:32} {seconds / cpu_s:8.0f} x real time")
    beam = Beam(english())
    state, steps = beam.initial_state(), []
    for at in range(0, len(heard), 5):  # 80 ms: what a live chunk may bring
        began = time.thread_time()
        state, _ = beam.step(state, heard[at : at + 5])
        steps.append(time.thread_time() - began)
    p50, p99 = 1e3 * np.percentile(steps, [50, 99])
    print(f"a live step of 80 ms, beam 50 + English: p50 {p50:.2f} ms, p99 {p99:.2f} CPU-ms")


def _cpu_s(decode: Decode, log_probs: Float32) -> float:
    began = time.process_time()
    decode(log_probs)
    return time.process_time() - began


def cer(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lm = english()
    arms: dict[str, Callable[[Float32], list[int]]] = {"greedy": greedy}
    settings = {"beam 50": Beam(), "+ English": Beam(lm)}
    settings |= {f"+ English, {s:g} s": Beam(lm, window=round(s * EMISSIONS_HZ)) for s in (0.25, 0.5, 2.0)}
    if (other := DATA / "text" / "wikitext2_valid.txt").is_file():
        settings["+ WikiText-2"] = Beam(build([Weighted(other.read_text(encoding="utf-8"))]).model)
    arms |= {name: lambda e, beam=beam: decode_all(beam, e) for name, beam in settings.items()}
    for difficulty in DIFFICULTIES:
        typed = {user: personalized(difficulty, user, folder) for user in (*VALIDATION, *TEST)}
        for role, users in (("validation", VALIDATION), ("test", TEST)):
            for kind in typed[users[0]]:
                print(f"\n{difficulty}, {kind}: {role} wearers {users}, simulated")
                _compare([typed[user][kind] for user in users], arms)


def _compare(typed: list[Typed], arms: dict[str, Decode]) -> None:
    """A line an arm: CER a wearer, mean, and the gain over greedy with its standard error over wearers."""
    found = {
        name: [score(one.labels, decode(one.log_probs)).percent for one in typed]
        for name, decode in arms.items()
    }
    for name, cers in found.items():
        gains = [a - b for a, b in zip(found["greedy"], cers, strict=True)]
        error = stdev(gains) / math.sqrt(len(gains))
        each = " ".join(f"{one:5.1f}" for one in cers)
        print(f"  {name:18} {each}   mean {mean(cers):5.2f} %   gain {mean(gains):5.2f} +- {error:.2f}")


def personalized(difficulty: str, user: int, folder: Path) -> dict[str, Typed]:
    """What a wearer's own decoder makes of two test recordings, each a donning of its own."""
    kinds = ["deck", *(["real"] if real_prompts(user) else [])]
    paths = {kind: folder / f"{difficulty}-{user}-{kind}.safetensors" for kind in kinds}
    if not all(path.is_file() for path in paths.values()):
        _personalize(Wearer(user, difficulty), user, paths)
    kept = {kind: load_file(path) for kind, path in paths.items()}
    return {kind: Typed(one["log_probs"], one["labels"].tolist()) for kind, one in kept.items()}


def _personalize(wearer: Wearer, number: int, paths: dict[str, Path]) -> None:
    with tempfile.TemporaryDirectory() as home:
        user = UserStore(Path(home)).create(f"sim-{number}")
        for session, duration_s in enumerate((TRAIN_S, VALIDATE_S, 60.0)):
            recording = to_session(wearer.perform(session, duration_s=duration_s))
            write_session(user.session_path(user.new_session_name()), recording)
        network, manifest = load_model(personalize_user(user, recipes.load("finetune")).folder)
    runtime = TorchRuntime(network, in_long_chunks(manifest.form))
    for donning, (kind, path) in enumerate(paths.items(), 3):
        prompts = real_prompts(number) if kind == "real" else None
        recording: Session = to_session(wearer.perform(donning, duration_s=TEST_S, prompts=prompts))
        log_probs = session_emissions(runtime, manifest, recording)
        save_file(
            {"log_probs": np.ascontiguousarray(log_probs), "labels": labels_of(recording).classes}, path
        )


def real_prompts(seed: int) -> list[str]:
    """Sixty prompts that real typists were shown; none where the data are not there."""
    path = DATA / "typing" / "population_prompts.csv.gz"
    if not path.is_file():
        return []
    with gzip.open(path, "rt") as file:
        texts = {row["prompt_text"].replace("\\n", "").strip() for row in csv.DictReader(file)}
    fit = sorted(text for text in texts if len(text) >= 15 and text.isascii() and text.isprintable())
    return random.Random(seed).sample(fit, 60)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cer", type=Path, metavar="FOLDER")
    folder = parser.parse_args().cer
    torch.set_num_threads(1)
    speed() if folder is None else cer(folder)


if __name__ == "__main__":
    main()
