"""``workbench finetune``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.bars import Bar
from workbench.cli.options import AsJson, DataRoot, Device, Plugins, Threads, print_json


def finetune(
    task: Annotated[str, typer.Argument(help="The task whose network is copied and trained.")],
    codec: Annotated[str, typer.Option(help="Codec and point: `jpeg@quality10`.")],
    dataset: Annotated[str, typer.Option(help="Pictures with ground truth to train on.")],
    out: Annotated[Path, typer.Option(help="The run's folder; a run that is there goes on.")],
    name: Annotated[
        str | None, typer.Option(help="The new task is TASK+NAME. Default: CODEC-POINT.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder of weights to put it into. Default: first of 'weights path'."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="The codec's output to train on. Default: the machine's.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of decoded pictures. Default: OUT/pictures.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = 1000,
    lr: Annotated[float, typer.Option(min=0, help="Learning rate at the start.")] = 1e-4,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N pictures.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of pictures.")] = 1,
    threads: Threads = 1,
    device: Device = "cpu",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Train a copy of a task's network on decoded pictures; it becomes a task beside the original.

    Example: `workbench finetune toytown-detector --codec jpeg@quality10
    --dataset toytown-stream:train:0-999 --out runs/finetune`
    """
    from workbench.finetuning import Options
    from workbench.finetuning import finetune as train

    options = Options(
        task, codec, dataset, out, name, to, output, pictures, steps, lr, batch, limit, every,
        seed, device, threads, str(data_root) if data_root else None, tuple(plugin or ()),
    )  # fmt: skip
    try:
        with Bar(quiet=as_json) as bar:

            def show(stage: str, done: int, total: int, loss: float | None) -> None:
                bar.update(stage, done, total, "" if loss is None else f"loss {loss:.4g}")

            full, path = train(options, show)
    except KeyboardInterrupt:
        print(f"workbench: stopped; call it again to go on from the checkpoint in {out}",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(130) from None
    if as_json:
        print_json({"task": full, "path": str(path)})
    else:
        typer.echo(f"{path}\nNext: workbench run --tasks {task},{full} --codecs {codec} ...")
