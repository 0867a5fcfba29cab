"""The simulated wearers that the shipped base was trained on. No figure may be taken from them."""

from __future__ import annotations

from typing import Final

from edge.errors import BadInput

BASE_USERS: Final = range(1000, 1024)  # wearers of `simulate`; the evaluated ones are far below


def forbid(user: int) -> None:
    """Raise BadInput where the simulated wearer `user` is one that the base has seen."""
    if user in BASE_USERS:
        raise BadInput(
            f"simulated wearer {user} is one of those the base was trained on ({BASE_USERS.start} to "
            f"{BASE_USERS.stop - 1}), so a figure of theirs would flatter it; choose another number"
        )
