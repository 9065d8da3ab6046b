"""``workbench masks``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench import registry
from workbench.cli import complete
from workbench.cli.bars import Bar
from workbench.cli.options import AsJson, DataRoot, Device, Plugins, Threads, print_json
from workbench.errors import WorkbenchError


def masks(
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="sam, coco-instances, boundaries, toytown ...; `--list` shows all.",
            autocompletion=complete.segmenter,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Pictures: a name, `folder:PATH`, `coco:IMAGES:FILE`.",
            autocompletion=complete.dataset,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of masks; what is there stays.")] = None,
    alpha: Annotated[
        float | None,
        typer.Option(help="Confidence: predicted IoU of sam, share of annotators of boundaries."),
    ] = None,
    annotations: Annotated[
        str | None, typer.Option(help="Ground truth that the segmenter draws on: boundaries.")
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Also write a contact sheet, PNG, of the first pictures.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N pictures.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    threads: Threads = 1,
    device: Device = "cpu",
    list_: Annotated[bool, typer.Option("--list", help="List the segmenters.")] = False,
    data_root: DataRoot = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Mark what matters to machines in pictures: masks that codecs are trained with.

    Stopped runs go on when called again. `workbench train --masks DIR` uses what was written.

    Example: `workbench masks --segmenter sam --alpha 0.93 --dataset folder:photos --out masks`
    """
    from workbench.masks import MaskJob, contact_sheet, make_masks

    if list_:
        _list(registry.load(plugin or ()), as_json)
        return
    if segmenter is None or dataset is None or out is None:
        raise WorkbenchError(
            "masks: name --segmenter, --dataset and --out; --list lists segmenters"
        )
    if alpha is not None and not 0 <= alpha <= 1:
        raise WorkbenchError(f"masks: alpha {alpha:g} is outside 0..1")
    job = MaskJob(
        segmenter, dataset, out, alpha, annotations, device, threads, tuple(plugin or ()),
        str(data_root) if data_root else None, limit,
    )  # fmt: skip
    with Bar(quiet=as_json) as bar:
        failed = make_masks(
            job, workers, lambda done, total, name: bar.update(segmenter, done, total, name)
        )
    if preview:
        contact_sheet(job, preview)
    if as_json:
        print_json({"out": str(out), "failed": failed})
    else:
        for name, reason in failed.items():
            typer.echo(f"{name}: {reason}", err=True)
        typer.echo(out)
    if failed:
        raise typer.Exit(1)


def _list(found: registry.Registry, as_json: bool) -> None:
    entries = [
        {
            "name": kind.name,
            "about": (kind.__doc__ or "").strip().split("\n")[0],
            "kind": kind.kind,
            "unavailable": kind.unavailable(),
        }
        for kind in found.segmenters.values()
    ]
    if as_json:
        print_json(entries)
        return
    width = max((len(str(entry["name"])) for entry in entries), default=0)
    for entry in sorted(entries, key=lambda entry: str(entry["name"])):
        reason = entry["unavailable"]
        note = f"  [not available here: {reason}]" if reason else ""
        typer.echo(f"{entry['name']:{width}}  {entry['kind']}: {entry['about']}{note}")
