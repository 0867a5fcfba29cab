"""The key of a job: a hash of all that decides which model comes of it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import edge
import personalize
from edge.manifest import sha256_of
from edge.store import User
from personalize.many.job import Order


def job_key(user: User, order: Order) -> str:
    """SHA-256 over the recordings' contents, the recipe, the seed, the base and the code.

    With `start: current` the model in use is not part of it: recordings are taken in once, not again after
    every success. Raises BadInput where there is no such base.
    """
    decides = {
        "user": user.id,
        "recordings": [[path.stem, sha256_of(path)] for path in user.sessions()],
        "recipe": order.recipe.model_dump(mode="json"),
        "seed": order.seed,
        "base": _base_hash(order),
        "code": order.code,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


@cache
def code_hash() -> str:
    """SHA-256 over the sources of `edge` and `personalize`, as they were when this process first asked."""
    digest = hashlib.sha256()
    for package in (edge, personalize):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{root.name}/{file.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _base_hash(order: Order) -> str | None:
    if order.recipe.start != "base":
        return None
    from personalize import base

    return base.card(order.recipe.network, order.base_folder).sha256
