"""JSON documents: read into their model, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edge.errors import BadInput

_M = TypeVar("_M", bound=BaseModel)


def read_json(model: type[_M], path: Path, what: str, advice: str) -> _M:
    """The document at `path`, which is to be `what`. Raises BadInput, ending in `advice`."""
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path.parent} holds no {path.name}; {advice}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); {advice}") from None
    except ValidationError as error:
        raise BadInput(f"{path} is not {what}: {first_fault(error)}; {advice}") from None


def first_fault(error: ValidationError) -> str:
    """Where the first fault of a document is, and what it is."""
    fault = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"
