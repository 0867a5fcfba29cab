"""`qwrist configs`: the recipes that come with qwrist, to be read, copied and changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.errors import BadInput
from personalize import recipe
from qwrist import ui

app = typer.Typer(no_args_is_help=True, help="Training recipes: list, show, copy, validate.")

Name = Annotated[str, typer.Argument(help="A recipe's name, as `qwrist configs ls` prints it.")]


@app.command("ls")
def ls() -> None:
    """List the recipes that come with qwrist."""
    for name in recipe.names():
        ui.say(name)


@app.command("show")
def show(name: Name) -> None:
    """Print a recipe with its comments."""
    ui.say(recipe.path(name).read_text(encoding="utf-8").rstrip())


@app.command("cp")
def cp(name: Name, to: Annotated[Path, typer.Argument(help="The new file, ending in .yaml.")]) -> None:
    """Copy a recipe to a file of yours, for `personalize --recipe`."""
    if to.suffix != ".yaml":
        raise BadInput(f"a recipe's file ends in .yaml, {to} does not; name it {to.with_suffix('.yaml')}")
    if to.exists():
        raise BadInput(f"{to} exists already; name another file, or remove it first")
    if not to.parent.is_dir():
        raise BadInput(f"the folder {to.parent} does not exist; make it first")
    to.write_bytes(recipe.path(name).read_bytes())
    ui.note(f"wrote {to}; train with it: personalize --user ID --recipe {to}")


@app.command("validate")
def validate(
    name_or_file: Annotated[str, typer.Argument(help="A recipe's name, or a .yaml file.")],
) -> None:
    """Say whether a recipe is one, and if not, what is wrong with it."""
    found = recipe.load(name_or_file)
    ui.say(f"{name_or_file}: a recipe for {found.network}, {found.steps} steps, starting from {found.start}")
