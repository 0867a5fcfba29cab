"""The simulated wearer: a person typing with two wristbands on, the same for the same user and session.

    w = Wearer(user=7, difficulty="medium")
    performance = w.perform(session=0, duration_s=240)

Text -> keys (`typist`) -> muscle drive (`strokes`) -> discharges (`firing`) -> potentials on the skin
(`ring`, `anatomy`) -> samples (`electronics`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edge.errors import BadInput
from edge.prompts import prompt_deck
from edge.samples import ELECTRODES, RATE_HZ, SIDES, WRISTS, Bool, Float32, KeyPress, Prompt, Side
from simulate.anatomy import MUSCLES, MotorUnits
from simulate.difficulty import Difficulty, preset
from simulate.electronics import Electronics
from simulate.firing import fire
from simulate.rhythm import Rhythm
from simulate.ring import Donning, conduct
from simulate.seeds import stream
from simulate.strokes import Hand
from simulate.typing_statistics import shipped
from simulate.typist import LEAD_OUT_S, Habits, Manner, Typist

_MAINS_HZ = (50.0, 60.0)  # even and odd users live on different continents


@dataclass(frozen=True, eq=False)
class Performance:
    """One session of a wearer: what the bands sampled and what was typed, in seconds from its start."""

    user: int
    session: int
    sides: tuple[Side, ...]  # the bands that were worn
    emg_uv: Float32  # (T, W, E) raw: with offset, hum and artefacts; a band not worn is 0
    keys: tuple[KeyPress, ...]
    prompts: tuple[Prompt, ...]

    @property
    def duration_s(self) -> float:
        """Of the samples."""
        return len(self.emg_uv) / RATE_HZ

    @property
    def valid(self) -> Bool:
        """(T, W): True where a band was worn."""
        return np.broadcast_to([side in self.sides for side in SIDES], (len(self.emg_uv), WRISTS))


@dataclass(frozen=True)
class Wearer:
    """A person: forearms, typing and motor habits follow from `user`, a session's chances from its number.

    Raises BadInput for a negative user, an unknown difficulty, sides other than left, right or both, or a
    missing muscle that no forearm has.
    """

    user: int
    difficulty: Difficulty | str = "medium"
    sides: tuple[Side, ...] = SIDES
    missing: tuple[str, ...] = ()  # muscles (simulate.anatomy) of both forearms that make no movement

    def __post_init__(self) -> None:
        if self.user < 0:
            raise BadInput(f"user is {self.user}; a simulated user is a number from 0")
        if self.sides not in (SIDES, SIDES[:1], SIDES[1:]):
            raise BadInput(f"sides is {self.sides!r}; expected ('left', 'right'), ('left',) or ('right',)")
        if isinstance(self.difficulty, str):
            preset(self.difficulty)  # an unknown name is refused here, not at the first session
        names = [muscle.name for muscle in MUSCLES]
        if unknown := sorted(set(self.missing) - set(names)):
            raise BadInput(f"there is no muscle {unknown[0]!r} to be missing; choose of {', '.join(names)}")

    def perform(
        self, session: int, *, duration_s: float | None = None, prompts: Sequence[str] | None = None
    ) -> Performance:
        """Type `prompts` (default: a deck of the session's own), as many whole ones as `duration_s` holds.

        Raises BadInput unless a duration or prompts are given, or where a prompt cannot be typed.
        """
        if prompts is None and duration_s is None:
            raise BadInput("a performance needs an end: give duration_s, prompts or both")
        if duration_s is not None and not duration_s > 0:
            raise BadInput(f"duration_s is {duration_s}; expected a positive number of seconds")
        _check_session(session)
        rng = stream("typing", self.user, session)
        deck = prompt_deck(int(rng.integers(2**63))) if prompts is None else self._typeable(prompts)
        typed = self._typist.type(deck, rng, np.inf if duration_s is None else duration_s)
        performance = self._perform(
            session, typed.keys, typed.prompts, typed.end_s if duration_s is None else duration_s
        )
        return replace(performance, keys=self._typist.manner.logged(typed.keys, rng))

    def perform_keys(self, session: int, keys: Sequence[KeyPress]) -> Performance:
        """Press `keys`, times in seconds from the start: a real log. Other keys (arrows) move no muscle.

        Raises BadInput where there are no keys or one lies before the start.
        """
        _check_session(session)
        if not keys or min(key.press_s for key in keys) < 0:
            raise BadInput("a log of keys needs at least one press, none before 0 s; shift its times")
        end_s = max(key.release_s for key in keys) + LEAD_OUT_S
        return self._perform(session, tuple(sorted(keys, key=lambda key: key.press_s)), (), end_s)

    def _perform(
        self, session: int, keys: tuple[KeyPress, ...], prompts: tuple[Prompt, ...], duration_s: float
    ) -> Performance:
        count = round(duration_s * RATE_HZ)
        emg_uv = np.zeros((count, WRISTS, ELECTRODES), np.float32)
        for side in self.sides:
            emg_uv[:, SIDES.index(side)] = self._band(side, session, keys, count)
        return Performance(self.user, session, self.sides, emg_uv, keys, prompts)

    def _band(self, side: Side, session: int, keys: Iterable[KeyPress], count: int) -> Float32:
        """What the band on `side` samples, (count, E) in microvolts."""
        wrist = SIDES.index(side)
        hand, units = self._hands[side], self._units[side]
        drive = hand.drive(keys, count / RATE_HZ, stream("drive", self.user, session, wrist))
        discharges = fire(drive, units, stream("firing", self.user, session, wrist))
        rng = stream("donning", self.user, session, wrist)
        donning = Donning.draw(self._difficulty, rng)
        band = Electronics.draw(self._difficulty, _MAINS_HZ[self.user % 2], count, rng)
        own_s = [key.press_s for key in keys if hand.strikes(key)]
        emg_uv = conduct(discharges, units, donning, self._difficulty, count)
        return band.record(emg_uv, own_s, stream("noise", self.user, session, wrist))

    @cached_property
    def _difficulty(self) -> Difficulty:
        return preset(self.difficulty) if isinstance(self.difficulty, str) else self.difficulty

    @cached_property
    def _typist(self) -> Typist:
        rng = stream("habits", self.user)
        fitted = self._difficulty.fitted_typing
        manner: Manner = Rhythm.draw(shipped(), rng) if fitted else Habits.draw(rng)
        return Typist.of(manner, self.sides)

    @cached_property
    def _units(self) -> dict[Side, MotorUnits]:
        grown = {
            side: MotorUnits.grow(stream("anatomy", self.user, SIDES.index(side))) for side in self.sides
        }
        return {side: units.without(self.missing) for side, units in grown.items()}

    @cached_property
    def _hands(self) -> dict[Side, Hand]:
        return {
            side: Hand.learn(
                {key: place for key, place in self._typist.places.items() if place.side == side},
                self._difficulty,
                stream("hand", self.user, SIDES.index(side)),
            )
            for side in self.sides
        }

    def _typeable(self, prompts: Sequence[str]) -> Sequence[str]:
        for prompt in prompts:
            for character in prompt:
                if not self._typist.can_type(character):
                    raise BadInput(
                        f"the prompt {prompt!r} holds {character!r}, which is on no key of a US keyboard; "
                        "leave it out"
                    )
        return prompts


def _check_session(session: int) -> None:
    if session < 0:
        raise BadInput(f"session is {session}; the sessions of a wearer are numbered from 0")
