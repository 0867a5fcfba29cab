"""The command line's entry points: `qwrist` and `personalize`."""

from __future__ import annotations

import errno
import os

import typer

from edge.errors import QwristError
from edge.journal import SUFFIX
from qwrist import ui
from qwrist.verbs import (
    bench,
    bundles,
    configs,
    dataset,
    demo,
    doctor,
    don,
    exports,
    link_test,
    live,
    lm,
    models,
    parity,
    personalize,
    pretrain,
    record,
    recover,
    relay,
    report,
    simulate_band,
    study,
    users,
)

BAD_INPUT = 2  # the same code that a misspelt option gives
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})  # what a user can make room for

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A keyboard from two sEMG wristbands: record, personalise, export, prove, type.",
)
for verb in (
    demo.demo,
    doctor.doctor,
    link_test.link_test,
    don.don,
    record.enroll,
    recover.recover,
    record.check,
    users.users,
    personalize.personalize,
    models.evaluate,
    report.report,
    exports.export,
    parity.parity,
    bench.bench,
    live.type_,
    live.replay,
    users.forget,
    users.rollback,
    relay.relay,
    simulate_band.simulate_band,
    pretrain.pretrain,
    study.study,
):
    app.command(verb.__name__.rstrip("_").replace("_", "-"))(verb)
app.add_typer(bundles.app, name="bundle")
app.add_typer(configs.app, name="configs")
app.add_typer(dataset.app, name="dataset")
app.add_typer(lm.app, name="lm")

_personalize = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_personalize.command("personalize")(personalize.personalize)


def run(application: typer.Typer) -> None:
    """Run a command line; what the user can solve becomes one sentence and exit code 2."""
    try:
        application()
    except QwristError as error:
        ui.note(f"qwrist: {error}")
        raise SystemExit(BAD_INPUT) from None
    except OSError as error:
        if error.errno not in DISK:
            raise
        ui.note(f"qwrist: {_disk_refused(error, error.errno)}")
        raise SystemExit(BAD_INPUT) from None


def _disk_refused(error: OSError, reason: int) -> str:
    where = str(error.filename or "while writing")
    journal = f" {where}" if where.endswith(SUFFIX) else ""
    return (
        f"{os.strerror(reason)} ({where}); make room there, or name another place: QWRIST_HOME for the user "
        "store, --out for a bundle. A recording that this cut short is kept, and is sealed by: "
        f"qwrist recover{journal}"
    )


def main() -> None:
    """The `qwrist` command."""
    run(app)


def personalize_main() -> None:
    """The `personalize` command."""
    run(_personalize)
