"""The learned codecs' recipes for ``workbench train``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import workbench
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from .recipe import Recipe

RECIPES = Path(__file__).parent / "recipes"
MASKS = {"edges": "edges", "objects": "objects", "roi": "objects"}
"""The kind of masks that an objective means nothing without."""


class IcmTrainer(workbench.Trainer):
    """Trains the learned codecs on Lightning Fabric."""

    name = "icm"
    requires = ("torch", "compressai", "lightning", "pyyaml", "safetensors")
    extra = "train"

    @classmethod
    def recipes(cls) -> Mapping[str, str]:
        lines = {}
        for path in sorted(RECIPES.glob("*.yaml")):
            about = [line for line in path.read_text().splitlines() if line.startswith("about: ")]
            lines[path.stem] = about[0].removeprefix("about: ") if about else ""
        return lines

    def train(self, recipe: str, job: workbench.TrainJob) -> str:
        """Train; a run that was cut off goes on from its checkpoint.

        Raises:
            WorkbenchError: the recipe, the data or the device is not there or does not fit.
        """
        from dataclasses import replace

        from .devices import make_fabric
        from .recipe import find_recipe, load_recipe
        from .train import Trainer

        path = find_recipe(recipe)
        loaded = _with_budget(load_recipe(path), job)
        job.out.mkdir(parents=True, exist_ok=True)
        fabric = make_fabric(job.device, job.devices, job.out if job.tensorboard else None)
        if isinstance(job.data, Path):
            data = job.data
        else:
            # `sources` name parts of what was packed of several datasets.
            loaded = replace(loaded, sources=None)
            _check_masks(recipe, MASKS.get(loaded.objective.name), job.masks)
            # One process packs; the others wait for it.
            with fabric.rank_zero_first(local=True):
                data = _packed(job.data, job)
        trainer = Trainer(loaded, data, job.out, job.held_out, fabric)
        trainer.run(job.report)
        export = (
            f"python -m workbench_plugins.codecs.icm export {trainer.checkpoint_path} "
            f"--recipe {recipe} --out FOLDER"
        )
        return f"{trainer.step} steps in {trainer.elapsed_s / 60:.1f} min. Weights: {export}"


def _with_budget(recipe: Recipe, job: workbench.TrainJob) -> Recipe:
    from dataclasses import replace

    if job.steps is None and job.minutes is None:
        return recipe
    return replace(recipe, steps=job.steps, minutes=job.minutes)


def _check_masks(recipe: str, kind: str | None, folders: Sequence[Path]) -> None:
    from workbench.masks import MaskFolder

    if kind and kind not in {MaskFolder.open(folder).kind for folder in folders}:
        raise WorkbenchError(
            f"{recipe}: trains on masks of {kind}: name their folder, --masks. Workbench masks "
            "makes them; its --list says by which segmenters"
        )


def _packed(pictures: workbench.Dataset, job: workbench.TrainJob) -> Path:
    """Pack pictures and masks into the run's folder, unless that was done before."""
    from .data import dataset, pack

    path = job.out / "pictures"
    if not path.with_suffix(".json").exists():
        pack([(pictures.name, dataset(pictures, job.masks))], path)
    return path


@workbench.hookimpl
def workbench_trainers() -> list[type[workbench.Trainer]]:
    return [IcmTrainer]
