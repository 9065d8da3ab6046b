"""``workbench run``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.api import Executor, Reference
from workbench.cli import complete
from workbench.cli.options import (
    AsJson,
    BlobsPlace,
    DataRoot,
    Device,
    Plugins,
    Shard,
    Threads,
    print_json,
)


def run(
    codecs: Annotated[
        str,
        typer.Option(
            help="`all`, or names with optional points: `jpeg,vvc-intra@qp32`.",
            autocompletion=complete.codecs,
        ),
    ] = "all",
    tasks: Annotated[
        str,
        typer.Option(help="`all`, or names: `psnr,ms-ssim`.", autocompletion=complete.tasks),
    ] = "all",
    dataset: Annotated[
        str,
        typer.Option(
            help="A name, `folder:PATH` or `coco:IMAGES:ANNOTATIONS`.",
            autocompletion=complete.dataset,
        ),
    ] = "demo",
    out: Annotated[Path, typer.Option(help="Run directory; a second run adds to it.")] = Path(
        "run"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N pictures.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    threads: Threads = 1,
    device: Device = "cpu",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds a cell may take.")] = 600,
    strict: Annotated[bool, typer.Option("--strict", help="Decode in other processes.")] = False,
    all_outputs: Annotated[
        bool, typer.Option("--all-outputs", help="Run every task on every output.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
    reference: Annotated[
        Reference,
        typer.Option(help="Judge tasks by the dataset, or by what they see in the originals."),
    ] = "dataset",
    executor: Annotated[
        Executor, typer.Option(help="Where workers run: as processes here, or on Ray.")
    ] = "processes",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to use, `auto` or HOST:PORT; else one here.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(metavar="GIB", min=0.1, help="Memory a worker may use.")
    ] = None,
    shard: Shard = None,
    blobs: BlobsPlace = None,
    as_json: AsJson = False,
) -> None:
    """Run every codec on every picture, and every task on what is decoded.

    What the run directory already holds is not done again, so runs resume and grow.

    Example: `workbench run --codecs jpeg,webp --tasks psnr --dataset folder:photos --out run`
    """
    from workbench.runner import Options, execute

    options = Options(
        codecs, tasks, dataset, out, limit, workers, tuple(plugin or ()),
        str(data_root) if data_root else None, device, threads, strict, all_outputs,
        retry_failed, timeout, reference, executor, address, memory, shard, blobs,
    )  # fmt: skip
    try:
        with _Bar(quiet=as_json) as bar:
            summary = execute(options, bar.update)
    except KeyboardInterrupt:
        print(f"workbench: stopped; finished cells are in {out}, run again to go on",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(130) from None
    for line in summary.damage:
        typer.echo(f"workbench: {line}", err=True)
    if as_json:
        print_json(asdict(summary))
    else:
        typer.echo(
            f"{summary.n_measured} cells measured, {summary.n_done_before} were done before, "
            f"{summary.n_failed} failed. Rows: {out}"
        )
        if summary.n_failed_before:
            typer.echo(f"{summary.n_failed_before} failed earlier: --retry-failed tries them again")
        if shard:
            typer.echo(f"Next: workbench merge {out} OTHERS... --out WHOLE, then run into WHOLE")
        else:
            typer.echo(f"Next: workbench report {out}")


class _Bar:
    """A progress bar with rate and remaining time, on stderr."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task = self._progress.add_task("planning", total=None, rate="")

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, done: int, total: int, what: str) -> None:
        # Not before: errors of planning are to stand alone on their line.
        self._progress.start()
        speed = self._progress.tasks[0].speed
        rate = f"{speed:.1f} cells/s" if speed else ""
        self._progress.update(
            self._task, completed=done, total=total, description=f"{what:24.24}", rate=rate
        )
