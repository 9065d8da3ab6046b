"""CamVid: street scenes with a class for every pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import list_folder
from workbench_datasets.labels import read_labels

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
           "pedestrian", "bicyclist")  # fmt: skip
VOID = 11


class CamVid(workbench.Dataset):
    """A split of CamVid in its twelve-class form: ``camvid:PATH``.

    The folder holds ``images`` and ``labels``, PNG maps of the same names with the ids 0 to 10 of
    ``CLASSES`` and 11 for pixels that are not judged.
    """

    name = "camvid"
    scheme = True
    licence = "for research use only"
    targets = ("semantic",)
    citation = "Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 30(2), 2009"

    def items(self) -> Sequence[workbench.Item]:
        folder = Path(self.argument)
        if not (folder / "labels").is_dir():
            raise DatasetError(f"{folder}: needs the folders images and labels, as CamVid has them")
        return list_folder(folder / "images")

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind != "semantic":
            return super().load_target(item, kind)
        import numpy as np

        path = Path(self.argument, "labels", item.name).with_suffix(".png")
        labels = read_labels(path, item.width, item.height)
        if labels.max() > VOID:
            raise DatasetError(
                f"{path}: has the id {labels.max()}, CamVid's are 0 to {VOID}: "
                "it is not the twelve-class form"
            )
        return {"map": labels.astype(np.uint8), "classes": list(CLASSES), "void": VOID}


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the dataset of this module."""
    return [CamVid]
