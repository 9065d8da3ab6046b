"""Cityscapes with its fine annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import describe_file
from workbench_datasets.labels import boxes_target, mask_box, read_labels, run_lengths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Label ids of the 19 classes that are judged, in the order of their training ids, after the
# label table of cityscapesScripts. All other ids are void.
CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
    24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle",
    33: "bicycle",
}  # fmt: skip
FIRST_THING = 24
VOID = 255
INSTANCES = 1000
"""An instance map holds 1000 * label id + number, or the label id alone for a group."""
ADDRESS = "https://www.cityscapes-dataset.com"


class Cityscapes(workbench.Dataset):
    """A split of Cityscapes, ``val`` by default: ``cityscapes:PATH`` or ``cityscapes:PATH:SPLIT``.

    ``PATH`` holds ``leftImg8bit`` and ``gtFine``. Groups of things that are annotated as one are
    crowds; segment and category ids are Cityscapes' label ids, as in its panoptic conversion.
    """

    name = "cityscapes"
    scheme = True
    licence = "Cityscapes terms of use: registration, non-commercial research"
    targets = ("semantic", "boxes", "panoptic")
    citation = "Cordts et al., The Cityscapes Dataset, CVPR 2016"

    @property
    def _folder(self) -> tuple[Path, str]:
        head, colon, tail = self.argument.rpartition(":")
        return (Path(head), tail) if colon else (Path(self.argument), "val")

    def items(self) -> Sequence[workbench.Item]:
        root, split = self._folder
        folder = root / "leftImg8bit" / split
        if not folder.is_dir():
            raise DatasetError(
                f"{folder}: no such folder. Register at {ADDRESS}, download "
                f"leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, unpack both into {root}"
            )
        paths = sorted(folder.glob("*/*_leftImg8bit.png"))
        if not paths:
            raise DatasetError(f"{folder}: no CITY/*_leftImg8bit.png in it")
        return [describe_file(str(path.relative_to(folder).as_posix()), path) for path in paths]

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind == "semantic":
            return self._semantic(item)
        if kind == "boxes":
            return self._boxes(item)
        if kind == "panoptic":
            return self._panoptic(item)
        return super().load_target(item, kind)

    def _labels(self, item: workbench.Item, kind: str) -> NDArray[np.int32]:
        root, split = self._folder
        name = item.name.replace("_leftImg8bit", f"_gtFine_{kind}")
        return read_labels(root / "gtFine" / split / name, item.width, item.height)

    def _semantic(self, item: workbench.Item) -> dict[str, Any]:
        import numpy as np

        table = np.full(256, VOID, np.uint8)
        table[list(CLASSES)] = np.arange(len(CLASSES))
        labels = self._labels(item, "labelIds")
        return {"map": table[labels & 255], "classes": list(CLASSES.values()), "void": VOID}

    def _boxes(self, item: workbench.Item) -> dict[str, Any]:
        ids = self._labels(item, "instanceIds")
        found = [
            {"category_id": label, "bbox": mask_box(ids == number), "iscrowd": int(crowd),
             "area": int((ids == number).sum()), "segmentation": run_lengths(ids == number)}
            for number, label, crowd in _segments(ids)
            if label >= FIRST_THING
        ]  # fmt: skip
        things = [c for c in _categories() if c["isthing"]]
        return boxes_target(item, found, things)

    def _panoptic(self, item: workbench.Item) -> dict[str, Any]:
        import numpy as np

        ids = self._labels(item, "instanceIds")
        segments = [
            {"id": number, "category_id": label, "iscrowd": int(crowd),
             "area": int((ids == number).sum()), "bbox": mask_box(ids == number)}
            for number, label, crowd in _segments(ids)
        ]  # fmt: skip
        kept = np.where(np.isin(ids, [segment["id"] for segment in segments]), ids, 0)
        return {"ids": kept, "segments": segments, "categories": _categories()}


def _segments(ids: NDArray[np.int32]) -> Iterable[tuple[int, int, bool]]:
    """Segment id, label id and whether it is a group, of what is judged."""
    import numpy as np

    for number in np.unique(ids).tolist():
        label = number // INSTANCES if number >= INSTANCES else number
        if label in CLASSES:
            yield number, label, number < INSTANCES and label >= FIRST_THING


def _categories() -> list[dict[str, Any]]:
    return [
        {"id": label, "name": name, "isthing": int(label >= FIRST_THING)}
        for label, name in CLASSES.items()
    ]


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the dataset of this module."""
    return [Cityscapes]
