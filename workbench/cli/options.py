"""Options and printing that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="FILE.py", help="Also load this local plugin file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        envvar="WORKBENCH_DATA", help="Folder that holds datasets, each in a folder of its name."
    ),
]
Device = Annotated[str, typer.Option(help="Where networks run: cpu, cuda:0.")]
Threads = Annotated[int, typer.Option(min=1, help="Processor threads a codec may use.")]

Shard = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Only every N-th picture from the I-th on, for clusters."),
]
BlobsPlace = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where a new run keeps streams: a shared folder, `s3://...`, `gs://...`.",
    ),
]


def print_json(value: Any) -> None:
    """Print JSON that any parser takes: no NaN, no infinities."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))
