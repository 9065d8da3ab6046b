"""``workbench status``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.bars import Bar
from workbench.cli.options import AsJson, print_json

SHOWN = 5  # errors, the commonest first


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Run directory.")],
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Read every byte and take out what is damaged; the next run redoes it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a run is: who writes, cells done and failed, speed, what is left.

    Example: `workbench status run`
    """
    if repair:
        _repair(folder, as_json)
        return
    from workbench import progress
    from workbench.store import Store

    found = progress.status(Store(folder))
    if as_json:
        print_json(found)
    else:
        _print(folder, found)


def _print(folder: Path, found: dict[str, Any]) -> None:
    from datetime import timedelta

    typer.echo(f"{folder}: {found['n_coded']} streams, {found['n_failed']} failed cells")
    for error, count in list(found["errors"].items())[:SHOWN]:
        typer.echo(f"  {count} x {error}")
    if len(found["errors"]) > SHOWN:
        typer.echo(f"  and {len(found['errors']) - SHOWN} other errors: see them with --json")
    if not found["progress"]:
        return
    progress = found["progress"]
    who = "process {pid} on {host}, since {since}".format(**progress)
    typer.echo(f"{found['state']}: {who}")
    line = f"{progress['done']} of {progress['total']} cells, {progress['failed']} of them failed"
    if found["cells_a_s"]:
        line += f", {found['cells_a_s']:.1f} cells/s"
    if found["left_s"] is not None:
        line += f", {timedelta(seconds=round(found['left_s']))} left, now {progress['now']}"
    typer.echo(line)


def _repair(folder: Path, as_json: bool) -> None:
    from workbench.repair import repair

    with Bar(quiet=as_json, unit="files", transient=True) as bar:
        found = repair(folder, lambda done, total: bar.update("reading", done, total))
    if as_json:
        print_json(asdict(found))
        return
    for line in found.files:
        typer.echo(line)
    for cell in found.cells:
        typer.echo(f"to be redone: {cell}")
    typer.echo(f"{found.n_blobs} streams and predictions read, {len(found.files)} files damaged")
