"""`qwrist lm`: language models of the text that you type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.errors import BadInput
from edge.lm import NgramModel, Weighted, build, english, read_model, write_model
from edge.lm.file import SUFFIX
from qwrist import ui
from qwrist.verbs.decoding import ENGLISH
from qwrist.verbs.users import AsJson

app = typer.Typer(no_args_is_help=True, help="Language models: build one from your own text, look at one.")

_LARGEST_TEXT = 1 << 30  # bytes: a model of more text is none for a device


@app.command("build")
def build_(
    text: Annotated[list[Path], typer.Option("--text", help="A UTF-8 text file; may be given again.")],
    out: Annotated[Path, typer.Option(help=f"The new file, ending in {SUFFIX}.")],
    order: Annotated[int, typer.Option(help="Longest run of characters that is counted, 1 to 10.")] = 6,
    grams: Annotated[
        int, typer.Option(min=1000, help="Most n-grams kept, the commonest; 150,000 are 0.3 MB.")
    ] = 1_000_000,
    note: Annotated[str, typer.Option(help="What the text is and whose; kept in the file.")] = "",
    as_json: AsJson = False,
) -> None:
    """Build a language model from text, for `--lm` of type, replay and evaluate."""
    if out.suffix != SUFFIX:
        raise BadInput(
            f"a language model's file ends in {SUFFIX}, {out} does not; name it {out.with_suffix(SUFFIX)}"
        )
    if not out.parent.is_dir():
        raise BadInput(f"the folder {out.parent} does not exist; make it first")
    built = build([Weighted(_read(path)) for path in text], order=order, most_grams=grams, note=note)
    size = write_model(out, built.model)
    read = {"characters": built.symbols, "left_out": built.left_out}
    result = {"file": str(out), **read, **_facts(built.model), "bytes": size}
    ui.emit_json(result) if as_json else ui.facts("Built", result)
    if not as_json:
        ui.note(f"type with it: qwrist type --user ID --lm {out}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help=f"{ENGLISH}, or a language model's file.")] = ENGLISH,
    as_json: AsJson = False,
) -> None:
    """Say what a language model holds and what it was made of."""
    result = _facts(english() if name == ENGLISH else read_model(Path(name)))
    ui.emit_json(result) if as_json else ui.facts(name, result)


def _facts(model: NgramModel) -> dict[str, object]:
    return {
        "order": model.order,
        "n_grams": [len(grams.codes) for grams in model.orders],
        "contexts": model.contexts,
        "note": model.note,
    }


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise BadInput(f"{path} is larger than 1 GiB; name a part of it")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); name a text file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text; convert it, or name another file") from None
