"""Make the bases that ship with qwrist: train the streaming network on simulated wearers, and let it teach.

    python benchmarks/base/make_base.py  # about 20 minutes on one core
    python benchmarks/base/make_base.py --network micro --steps 3000  # about 12, taught by the one above
    python benchmarks/base/make_base.py --steps 50 --minutes 1 --dry-run

Its wearers are personalize.base_users.BASE_USERS, of two difficulties; the last four choose the epoch. Each
wearer's frames are normalised from that wearer's own statistics, as a user's will be. It is then read, as it
is, on wearers it has not met.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time

import numpy as np

from edge.manifest import Normalization
from edge.normalize import prior_from
from personalize import base, recipe
from personalize.base_users import BASE_USERS, forbid
from personalize.features import FramedSession
from personalize.networks import Network
from personalize.teacher import said, taught_loss
from personalize.train import initial_network, train, validate
from simulate.recording import to_session
from simulate.wearer import Wearer

DIFFICULTIES = ("medium", "mid")  # alternating from wearer to wearer
VALIDATION_USERS = 4  # the last of BASE_USERS: they choose the epoch
NEW_WEARERS = (31, 32, 33, 34)  # met by nothing: the zero-shot figure
SESSIONS = 2  # a wearer: two donnings
# Less than for one person: two hours of many people's typing are not learnt by heart.
DROPOUT = {"streaming": 0.1, "micro": 0.05}
LEARNING_RATE = 2.0e-3  # from nothing, for both


def recordings(user: int, difficulty: str, minutes: float, sessions: int = SESSIONS) -> list[FramedSession]:
    """What `user` types in `sessions` donnings of equal length, log power."""
    wearer = Wearer(user, difficulty)
    part_s = 60 * minutes / sessions
    return [FramedSession.of(to_session(wearer.perform(n, duration_s=part_s))) for n in range(sessions)]


def normalized(sessions: list[FramedSession]) -> list[FramedSession]:
    """From the wearer's own statistics."""
    prior = prior_from(session.frames for session in sessions)
    return [session.prepared(prior) for session in sessions]


def difficulty_of(user: int) -> str:
    """Alternating."""
    return DIFFICULTIES[user % len(DIFFICULTIES)]


def zero_shot(network: Network, minutes: float) -> dict[str, float]:
    """CER on wearers that the base has not met, one donning to take statistics from, another to read."""
    figures = {}
    for user in NEW_WEARERS:
        forbid(user)
        for difficulty in DIFFICULTIES:
            known, asked = recordings(user, difficulty, 2 * minutes)
            prior = prior_from([known.frames])
            cer = validate(network, [asked.prepared(prior)])
            figures[f"{difficulty} wearer {user}"] = round(cer.percent, 1)
    return figures


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", choices=list(DROPOUT), default="streaming")
    parser.add_argument("--minutes", type=float, default=6.0, help="of typing a wearer")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    asked = parser.parse_args()

    started_s = time.monotonic()
    everyone = {user: recordings(user, difficulty_of(user), asked.minutes) for user in BASE_USERS}
    everything = [session for sessions in everyone.values() for session in sessions]
    prior = prior_from(session.frames for session in everything)
    prepared = {user: normalized(sessions) for user, sessions in everyone.items()}
    del everyone, everything
    print(f"{len(prepared)} wearers typed and framed in {time.monotonic() - started_s:.0f} s", flush=True)

    training, validation = BASE_USERS[:-VALIDATION_USERS], BASE_USERS[-VALIDATION_USERS:]
    changes = {
        "steps": asked.steps,
        "evaluations": max(1, asked.steps // 500),
        "dropout": DROPOUT[asked.network],
    }
    settings = recipe.override(recipe.load(asked.network), changes | {"learning_rate": LEARNING_RATE})
    network = initial_network(asked.network, asked.seed)
    known = [session for user in training for session in prepared[user]]
    teacher = None if asked.network == "streaming" else base.load()
    result = train(
        network,
        known,
        [session for user in validation for session in prepared[user]],
        settings,
        seed=asked.seed,
        progress=_report(started_s),
        loss=None if teacher is None else taught_loss(said(teacher, network, known), settings),
    )
    for evaluation in result.evaluations:
        print(f"step {evaluation.step}: validation CER {evaluation.cer.percent:.1f} %")
    figures = zero_shot(network, 3.0)
    print(f"zero-shot: {figures}, mean {np.mean(list(figures.values())):.1f} %")
    if asked.dry_run:
        return
    base.write(
        network,
        base.BaseCard(
            network=network.name,
            taught_by=None if teacher is None else teacher.name,
            command=shlex.join(["python", "benchmarks/base/make_base.py", *sys.argv[1:]]),
            users=tuple(training),
            validation_users=tuple(validation),
            minutes=asked.minutes * len(training),
            difficulties=DIFFICULTIES,
            seed=asked.seed,
            steps=asked.steps,
            best_step=result.best.step,
            validation_cer_percent=round(result.best.cer.percent, 1),
            zero_shot_cer_percent=figures,
            sha256="",
            normalization=Normalization.of(prior),
        ),
    )


def _report(started_s: float):  # noqa: ANN202
    def progress(step: int, steps: int, loss: float) -> None:
        if step % 100 == 0:
            print(f"{step}/{steps} loss {loss:.2f}, {time.monotonic() - started_s:.0f} s", flush=True)

    return progress


if __name__ == "__main__":
    main()
