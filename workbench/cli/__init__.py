"""The command line: one small module a command, imported when the command is used."""

from __future__ import annotations

import sys

import typer

from workbench.cli import (
    bd,
    check,
    diff,
    fetch,
    finetune,
    inspect,
    masks,
    merge,
    plan,
    report,
    run,
    serve,
    status,
    streams,
    train,
    weights,
)
from workbench.errors import WorkbenchError

app = typer.Typer(
    name="workbench",
    help="Put image codecs and vision tasks side by side; get rate-distortion results to trust.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("list")(inspect.list_)
app.command("show")(inspect.show)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("status")(status.status)
app.command("merge")(merge.merge)
app.command("report")(report.report)
app.command("serve")(serve.serve)
app.command("diff")(diff.diff)
app.command("bd")(bd.bd)
app.command("encode")(streams.encode)
app.command("decode")(streams.decode)
app.command("info")(streams.info)
app.command("check")(check.check)
app.command("masks")(masks.masks)
app.command("train")(train.train)
app.command("finetune")(finetune.finetune)
app.command("fetch")(fetch.fetch)
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Entry point: users' errors are one line and exit code 1, anything else is a bug."""
    try:
        app()
    except WorkbenchError as error:
        print(f"workbench: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        # The reader of our output, head for instance, has seen enough.
        sys.stderr.close()
        raise SystemExit(0) from None
