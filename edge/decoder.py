"""What decodes emissions, greedily or by a beam (edge.beam): what is settled, and what may still change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from edge.ctc import DecoderState, greedy_step
from edge.samples import Float32

Decode = Callable[[Float32], list[int]]  # (T, K) emissions of a whole stream to labels


class Said(NamedTuple):
    """One key: where it was said and where that became certain, emissions counted from the stream's start."""

    label: int
    emission: int
    decided: int


class Counted(Protocol):
    """A decoder's state: explicit, and the decoder's own but for this."""

    @property
    def emissions(self) -> int:
        """How many it has seen."""
        ...


class Decoder(Protocol):
    """A streaming decoder. How emissions are cut into chunks changes nothing."""

    def initial_state(self) -> Any:  # noqa: ANN401  (each decoder's own, a Counted)
        """Before the first emission."""
        ...

    def step(self, state: Any, log_probs: Float32) -> tuple[Any, list[Said]]:  # noqa: ANN401
        """Take (T, K) emissions that follow on `state`; give the keys that they settle for good."""
        ...

    def tentative(self, state: Any) -> list[Said]:  # noqa: ANN401
        """The keys said beyond the settled ones, as it stands: later emissions may change them."""
        ...


class Greedy:
    """The likeliest class of each emission: everything is settled at once."""

    def __str__(self) -> str:
        return "greedy"

    def initial_state(self) -> DecoderState:
        """Before the first emission."""
        return DecoderState()

    def step(self, state: DecoderState, log_probs: Float32) -> tuple[DecoderState, list[Said]]:
        """Take (T, K) emissions that follow on `state`."""
        following, decoded = greedy_step(state, log_probs)
        return following, [Said(key.label, key.emission, key.emission) for key in decoded]

    def tentative(self, state: DecoderState) -> list[Said]:
        """Nothing: a key once said stays."""
        return []


def decode_all(decoder: Decoder, log_probs: Float32) -> list[int]:
    """The labels of a whole stream of (T, K) emissions: the streaming loop over one chunk."""
    state, settled = decoder.step(decoder.initial_state(), log_probs)
    return [key.label for key in (*settled, *decoder.tentative(state))]
