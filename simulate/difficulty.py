"""How hard a wearer is to read: physical parameters, pinned by a linear probe (`simulate.probe`).

The presets are set by what a ridge regression reads from the signal, never by how a network fares on it:
mean top-1 accuracy over users 0 to 9, across donnings, is 0.76 for `medium`, 0.53 for `mid` and 0.30 for
`hard`, where always saying the commonest key scores 0.14 (tests/simulate/test_probe.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge.errors import BadInput


@dataclass(frozen=True)
class Difficulty:
    """What varies between presses, keys, donnings and wearers. Spreads are of natural logarithms."""

    name: str
    press_spread: float  # a press's strength, press to press
    muscle_spread: float  # one muscle's part in a press, press to press
    key_style: float  # a key's muscles in this user against the textbook: what tells keys apart
    crosstalk: float  # share of a finger's effort that its neighbours join in (enslaving)
    timing_jitter_s: float  # of each phase of a press against the key's contact
    amplitude_uv: float  # of a strong superficial unit under the nearest electrode
    tonic: float  # mean resting drive of a muscle, of 1
    falloff: float  # exponent of potential against distance: low blurs the ring
    donning_shift: float  # standard deviation of the ring's rotation between donnings, electrodes
    drift_shift: float  # standard deviation of its rotation within a session, electrodes
    gain_spread: float  # an electrode's gain, donning to donning
    artefact_uv: float  # size of movement artefacts
    contact_losses_per_min: float  # of any one electrode of a band
    stretch: float = 1.0  # of potentials in time: skin and fat of the wearer are a low-pass
    fitted_typing: bool = False  # drawn from real people's logs (simulate.rhythm), not by rules of thumb


CALIBRATED: Final = "calibrated"  # the yardstick: docs/simulation.md says what it was fitted to, and how near

_PRESETS: Final = (
    Difficulty(
        name="medium",
        press_spread=0.22,
        muscle_spread=0.2,
        key_style=0.45,
        crosstalk=0.25,
        timing_jitter_s=0.008,
        amplitude_uv=26.0,
        tonic=0.04,
        falloff=2.4,
        donning_shift=0.25,
        drift_shift=0.15,
        gain_spread=0.15,
        artefact_uv=15.0,
        contact_losses_per_min=0.05,
    ),
    Difficulty(
        name="mid",
        press_spread=0.36,
        muscle_spread=0.5,
        key_style=0.32,
        crosstalk=0.38,
        timing_jitter_s=0.018,
        amplitude_uv=18.0,
        tonic=0.09,
        falloff=1.95,
        donning_shift=0.48,
        drift_shift=0.3,
        gain_spread=0.2,
        artefact_uv=22.0,
        contact_losses_per_min=0.1,
    ),
    Difficulty(
        name="hard",
        press_spread=0.55,
        muscle_spread=1.0,
        key_style=0.2,
        crosstalk=0.5,
        timing_jitter_s=0.03,
        amplitude_uv=11.0,
        tonic=0.16,
        falloff=1.5,
        donning_shift=1.1,
        drift_shift=0.7,
        gain_spread=0.3,
        artefact_uv=30.0,
        contact_losses_per_min=0.2,
    ),
    Difficulty(
        name=CALIBRATED,
        press_spread=0.36,
        muscle_spread=0.5,
        key_style=0.32,
        crosstalk=0.38,
        timing_jitter_s=0.018,
        amplitude_uv=33.0,
        tonic=0.07,
        falloff=1.95,
        donning_shift=0.48,
        drift_shift=0.3,
        gain_spread=0.2,
        artefact_uv=22.0,
        contact_losses_per_min=0.1,
        stretch=1.3,
        fitted_typing=True,
    ),
)


def presets() -> tuple[str, ...]:
    """The presets' names: three by rising difficulty, then the calibrated one."""
    return tuple(preset.name for preset in _PRESETS)


def preset(name: str) -> Difficulty:
    """The preset called `name`. Raises BadInput for any other name."""
    for difficulty in _PRESETS:
        if difficulty.name == name:
            return difficulty
    raise BadInput(f"there is no difficulty {name!r}; choose one of {', '.join(presets())}")
