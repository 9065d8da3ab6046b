"""``workbench merge``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.bars import Bar
from workbench.cli.options import AsJson, BlobsPlace, print_json


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories.")],
    out: Annotated[Path, typer.Option(help="Run directory to add them to.")],
    blobs: BlobsPlace = None,
    as_json: AsJson = False,
) -> None:
    """Put run directories together, of shards or of other machines. Nothing is measured again.

    Where two hold the same cell the later one wins, but a failure never replaces a result. A
    `workbench run` into the merged directory then scores whole datasets.

    Example: `workbench merge shard-1 shard-2 --out run`
    """
    from workbench.merging import merge as together

    with Bar(quiet=as_json, transient=True) as bar:
        found = together(
            folders, out, blobs,
            lambda done, total, what: bar.update("merge", done, total, label=what),
        )  # fmt: skip
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(f"{found.n_rows} rows and {found.n_blobs} streams and predictions added to {out}")
    if found.damaged:
        typer.echo(f"{found.damaged} rows were left out, as their streams are damaged: run again")
