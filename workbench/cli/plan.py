"""``workbench plan``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.api import Reference
from workbench.cli import complete
from workbench.cli.options import AsJson, DataRoot, Device, Plugins, Shard, Threads, print_json

if TYPE_CHECKING:
    from workbench.estimate import Estimate


def plan(
    codecs: Annotated[
        str, typer.Option(help="As for `run`.", autocompletion=complete.codecs)
    ] = "all",
    tasks: Annotated[
        str, typer.Option(help="As for `run`.", autocompletion=complete.tasks)
    ] = "all",
    dataset: Annotated[
        str, typer.Option(help="As for `run`.", autocompletion=complete.dataset)
    ] = "demo",
    out: Annotated[Path, typer.Option(help="Run directory; what it holds is not redone.")] = Path(
        "run"
    ),
    measured: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="DIR", help="A run directory whose times and rates count."),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure on one picture what no run has measured yet.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N pictures.")] = None,
    shard: Shard = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    threads: Threads = 1,
    device: Device = "cpu",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    all_outputs: Annotated[bool, typer.Option("--all-outputs", help="As for `run`.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="As for `run`.")] = False,
    reference: Annotated[Reference, typer.Option(help="As for `run`.")] = "dataset",
    as_json: AsJson = False,
) -> None:
    """Say what a run would do and take, without running it.

    Time and size are told from what earlier runs measured a pixel, in --out and in --from.

    Example: `workbench plan --codecs vvc-intra --dataset kodak --from run --workers 8`
    """
    from workbench.estimate import estimate
    from workbench.selection import Options

    options = Options(
        codecs, tasks, dataset, out, limit, workers, tuple(plugin or ()),
        str(data_root) if data_root else None, device, threads, all_outputs=all_outputs,
        retry_failed=retry_failed, reference=reference, shard=shard,
    )  # fmt: skip
    found = estimate(options, measured or (), probe=probe)
    if as_json:
        print_json({**asdict(found), "workers": workers})
    else:
        _print(found, workers)


def _print(found: Estimate, workers: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("codec", "cells", "worker time", "streams", "not all measured yet")
    for line in found.lines:
        table.add_row(
            line.codec, str(line.n_cells), _time(line.seconds), f"{line.n_bytes / 1e6:.1f} MB",
            f"{line.n_unknown} cells" if line.n_unknown else "",
        )  # fmt: skip
    console = Console()
    if found.lines:
        console.print(table)
    n_unknown = sum(line.n_unknown for line in found.lines)
    seconds = sum(line.seconds for line in found.lines)
    n_bytes = sum(line.n_bytes for line in found.lines)
    console.print(
        f"{found.n_cells} cells: {found.n_todo} to do, {found.n_done} done, "
        f"{found.n_failed_before} failed before",
        highlight=False,
    )
    if seconds:
        console.print(
            f"{'At least' if n_unknown else 'Some'} {_time(seconds / workers)} on {workers} "
            f"workers, {n_bytes / 1e6:.1f} MB of streams",
            highlight=False,
        )
    if n_unknown:
        console.print(
            f"{n_unknown} cells need what no run has measured: name one that has with --from, or "
            "--probe",
            highlight=False,
        )


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
