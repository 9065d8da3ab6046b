"""``workbench train``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from workbench import registry
from workbench.api import Dataset
from workbench.cli import complete
from workbench.cli.bars import Bar
from workbench.cli.options import AsJson, DataRoot, Plugins, print_json
from workbench.errors import WorkbenchError

SHOWN = 4


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe's name (`--list` shows them) or YAML file.",
            autocompletion=complete.recipe,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Pictures to train on: a dataset, a folder, or what was packed of some.",
            autocompletion=complete.dataset,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; a run that is there goes on.")
    ] = None,
    masks: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that `workbench masks` wrote for these pictures; repeatable."),
    ] = None,
    held_out: Annotated[
        str,
        typer.Option(
            help="Dataset whose first pictures are measured on as training goes.",
            autocompletion=complete.dataset,
        ),
    ] = "demo",
    held_out_limit: Annotated[
        int, typer.Option(min=0, help="How many of them; 0 for none.")
    ] = SHOWN,
    minutes: Annotated[
        float | None, typer.Option(help="Wall-clock budget instead of the recipe's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Budget in steps instead of the recipe's.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard, too.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    data_root: DataRoot = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Train a recipe to the end of its budget: checkpoints, logs and a rate-distortion plot.

    Stopped or killed runs go on when called again, exactly as if they had not been stopped.

    Example: `workbench train lic-human --data photos --out runs/lic-human --minutes 60`
    """
    from workbench.training import TrainJob

    found = registry.load(plugin or ())
    if list_:
        _list(found, as_json)
        return
    if recipe is None or data is None or out is None:
        raise WorkbenchError("train: name a recipe, --data and --out; --list lists recipes")
    if steps is not None and minutes is not None:
        raise WorkbenchError("train: give --steps or --minutes, not both")
    trainer = found.trainer(_trainer_of(found, recipe))
    root = str(data_root) if data_root else None
    pictures = []
    if held_out_limit:
        dataset = found.dataset(held_out, root)
        items = [item for item in dataset.items() if not item.error][:held_out_limit]
        pictures = [dataset.load(item) for item in items]
    # Of several processes, one a device, the first shows it.
    quiet = as_json or int(os.environ.get("LOCAL_RANK", 0)) > 0
    with Bar(quiet=quiet, count=False) as bar:

        def show(share: float, step: int, figures: Mapping[str, float]) -> None:
            note = f"step {step}, loss {figures['loss']:.4g}"
            bar.update(Path(recipe).stem, share, 1.0, note)

        job = TrainJob(
            data=_pictures(found, data, root),
            out=out,
            masks=tuple(masks or ()),
            held_out=pictures,
            steps=steps,
            minutes=minutes,
            device=device,
            devices=devices,
            tensorboard=tensorboard,
            report=show,
        )
        outcome = trainer().train(recipe, job)
    if as_json:
        print_json({"recipe": recipe, "out": str(out), "outcome": outcome})
    else:
        typer.echo(outcome)


def _pictures(found: registry.Registry, data: str, root: str | None) -> Dataset | Path:
    """A folder or a dataset's pictures; anything else is a file that the trainer packed."""
    if Path(data).is_dir():
        return found.dataset(f"folder:{data}")
    if data.partition(":")[0] in found.datasets:
        return found.dataset(data, root)
    return Path(data)


def _trainer_of(found: registry.Registry, recipe: str) -> str:
    """The trainer that comes with a recipe; the only one there is for other files."""
    for name, trainer in found.trainers.items():
        if recipe in trainer.recipes():
            return name
    if len(found.trainers) == 1:
        return next(iter(found.trainers))
    raise WorkbenchError(
        f"train: {recipe!r} is no recipe of {', '.join(found.trainers) or 'any trainer'}; "
        "--list lists recipes"
    )


def _list(found: registry.Registry, as_json: bool) -> None:
    recipes = {
        name: {"about": about, "trainer": trainer.name}
        for trainer in found.trainers.values()
        for name, about in trainer.recipes().items()
    }
    if as_json:
        print_json(recipes)
        return
    width = max((len(name) for name in recipes), default=0)
    for name, entry in sorted(recipes.items()):
        typer.echo(f"{name:{width}}  {entry['about']}")
