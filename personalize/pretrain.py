"""`qwrist pretrain`: from many people's recordings to a base that anybody's decoder can be fitted from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from edge.errors import BadInput
from edge.features import BINS, FRAME_RATE_HZ
from edge.manifest import Normalization
from edge.normalize import Prior, prior_from
from edge.samples import ELECTRODES, WRISTS
from personalize.base import BaseCard
from personalize.features import FramedSession
from personalize.networks import Network
from personalize.recipe import Recipe, override
from personalize.recording import Person, Recording
from personalize.train import Progress, Training, initial_network, train, validate

_EVALUATE_EVERY: Final = 500  # steps
_DROPOUT: Final = 0.1  # at most: hours of many people's typing are not learnt by heart
BYTES_A_MINUTE: Final = round(60 * FRAME_RATE_HZ * WRISTS * ELECTRODES * BINS * 2)  # half precision: 15.8 MB

Reading = Callable[[str, int, int], None]
"""Told before each recording: its name, its number, and how many there are."""


class People(NamedTuple):
    """Who trains, who chooses the epoch, and who tests the base as it is: strangers to it."""

    training: tuple[Person, ...]
    validation: tuple[Person, ...]
    test: tuple[Person, ...] = ()

    @property
    def met(self) -> tuple[str, ...]:
        """Everybody of whom the base has seen anything."""
        return tuple(sorted({person.id for person in (*self.training, *self.validation)}))


class Pretrained(NamedTuple):
    """A base and what its card must say of it."""

    network: Network
    normalization: Normalization
    training: Training
    steps: int
    minutes: float
    zero_shot: dict[str, float]

    def card(self, *, command: str, seed: int, **whose: object) -> BaseCard:
        """The card; `whose` are its fields on people, simulated users and their difficulties."""
        nobody: dict[str, object] = {"users": (), "validation_users": (), "difficulties": ()}
        return BaseCard.model_validate(
            nobody
            | whose
            | {
                "network": self.network.name,
                "command": command,
                "minutes": round(self.minutes, 1),
                "seed": seed,
                "steps": self.steps,
                "best_step": self.training.best.step,
                "validation_cer_percent": round(self.training.best.cer.percent, 1),
                "zero_shot_cer_percent": self.zero_shot,
                "sha256": "",
                "normalization": self.normalization,
            }
        )


def check_people(people: People, minutes_each: float, memory_bytes: int) -> None:
    """Raise BadInput where the base would be tested on somebody it has met, or does not fit into memory."""
    both = sorted({person.id for person in people.test} & set(people.met))
    if both:
        raise BadInput(f"{', '.join(both)} would train the base and test it; take them out of one of the two")
    if not (people.training and people.validation):
        raise BadInput("there is nobody to train on or nobody to choose the epoch by; look at the split")
    count = sum(len(person.recordings) for person in itertools.chain(people.training, people.validation))
    needed = count * minutes_each * BYTES_A_MINUTE
    if needed > memory_bytes:
        fitting = memory_bytes / count / BYTES_A_MINUTE
        raise BadInput(
            f"up to {minutes_each:g} min of each of {count} recordings take {needed / 2**30:.0f} GB of "
            f"memory, here are {memory_bytes / 2**30:.0f}; take less of each: --minutes {fitting:.1f}"
        )


def pretrain(
    people: People,
    recipe: Recipe,
    *,
    seed: int,
    minutes_each: float,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> Pretrained:
    """Train a network of `recipe` from nothing on everybody's first `minutes_each` minutes of each recording.

    Everyone's frames are normalised from their own statistics, as a user's will be. Raises NotEnoughData,
    BadSession, TrainingFailed.
    """
    settings = override(
        recipe,
        {
            "evaluations": max(1, recipe.steps // _EVALUATE_EVERY),
            "dropout": min(recipe.dropout, _DROPOUT),
        },
    )
    network = initial_network(settings.network, seed)
    reader = _Reader(people, minutes_each, reading, normalized=network.frame_input == "normalized")
    training, validation = reader.prepared(people.training), reader.prepared(people.validation)
    everybody = _merged(reader.priors)
    result = train(network, training, validation, settings, seed=seed, progress=progress)
    return Pretrained(
        network,
        Normalization.of(everybody),
        result,
        settings.steps,
        sum(len(session.values) for session in training) / FRAME_RATE_HZ / 60,
        {person.id: _zero_shot(network, reader, person, everybody) for person in people.test},
    )


class _Reader:
    """Reads people one after the other, and remembers the statistics of each."""

    def __init__(
        self, people: People, minutes_each: float, reading: Reading | None, *, normalized: bool
    ) -> None:
        self.priors: list[Prior] = []
        self._frames = round(60 * minutes_each * FRAME_RATE_HZ)
        self._reading, self._number = reading, 0
        self._count = sum(len(person.recordings) for part in people for person in part)
        self._normalized = normalized

    def prepared(self, persons: Iterable[Person]) -> list[FramedSession]:
        """Everybody's recordings as the network sees them, each person's from their own statistics."""
        prepared = []
        for person in persons:
            sessions = self.log_power(person)
            prior = prior_from(session.frames for session in sessions)
            prepared += [session.prepared(prior if self._normalized else None) for session in sessions]
            self.priors.append(prior)
        return prepared

    def prepared_as(self, person: Person, prior: Prior) -> list[FramedSession]:
        """One's recordings, normalised from statistics that are not theirs."""
        return [session.prepared(prior if self._normalized else None) for session in self.log_power(person)]

    def log_power(self, person: Person) -> list[FramedSession]:
        """The first minutes of each of one's recordings."""
        return [self._first_minutes(recording) for recording in person.recordings]

    def _first_minutes(self, recording: Recording) -> FramedSession:
        if self._reading is not None:
            self._reading(recording.name, self._number, self._count)
        self._number += 1
        whole = FramedSession.of(recording.read(), recording.name)
        kept = whole.between(0, min(len(whole.values), self._frames))
        return replace(kept, values=kept.values.copy())  # a view would keep the whole recording in memory


def _zero_shot(network: Network, reader: _Reader, person: Person, everybody: Prior) -> float:
    """The CER on a stranger of the base as it is, normalised from everybody's statistics but theirs."""
    return round(validate(network, reader.prepared_as(person, everybody)).percent, 1)


def _merged(priors: Sequence[Prior]) -> Prior:
    """The statistics of all together, each person weighing the same."""
    mean = np.mean([prior.mean for prior in priors], axis=0, dtype=np.float64)
    power = np.mean([prior.std.astype(np.float64) ** 2 + prior.mean**2 for prior in priors], axis=0)
    std = np.sqrt(np.asarray(power) - mean**2)
    return Prior(np.asarray(mean, np.float32), np.asarray(std, np.float32))
