"""``workbench run``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.api import Executor, Reference
from workbench.cli import complete
from workbench.cli.bars import Bar
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
        with Bar(quiet=as_json, unit="cells") as bar:
            summary = execute(
                options,
                lambda done, total, what: bar.update("run", done, total, label=f"{what:24.24}"),
            )
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
