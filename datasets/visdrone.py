"""VisDrone-DET: small objects seen from drones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import list_folder
from workbench_datasets.labels import boxes_target, check_box

CLASSES = ("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle",
           "awning-tricycle", "bus", "motor")  # fmt: skip
IGNORED_REGION, OTHERS = 0, 11
FIELDS = "bbox_left,bbox_top,bbox_width,bbox_height,score,category,truncation,occlusion"
MOST_INSIDE = 0.5


class VisDrone(workbench.Dataset):
    """A split of VisDrone-DET: ``visdrone:PATH``, with ``images`` and ``annotations``.

    As the evaluator does it: an object of which half or more lies in ignored regions is dropped,
    and an object with score 0 is a crowd of its class. An ignored region, and an object of the
    class "others", is a crowd of every class, since detections there are not judged; the
    evaluator drops those with half their area inside, COCO's crowd rule those with a share of at
    least the threshold of overlap. Objects without area, of which the published files have a
    few, are dropped.
    """

    name = "visdrone"
    scheme = True
    licence = "CC BY-NC-SA 3.0"
    targets = ("boxes",)
    citation = "Zhu et al., Detection and Tracking Meet Drones Challenge, IEEE TPAMI 44(11), 2021"

    def items(self) -> Sequence[workbench.Item]:
        folder = Path(self.argument)
        if not (folder / "annotations").is_dir():
            raise DatasetError(f"{folder}: needs the folders images and annotations, as VisDrone")
        return list_folder(folder / "images")

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind != "boxes":
            return super().load_target(item, kind)
        path = Path(self.argument, "annotations", item.name).with_suffix(".txt")
        rows = _read(path, item)
        regions = [box for box, _, category in rows if category == IGNORED_REGION]
        kept = [
            row for row in rows
            if row[2] == IGNORED_REGION or _share_inside(row[0], regions, item) < MOST_INSIDE
        ]  # fmt: skip
        found = []
        for box, score, category in kept:
            everything = category in (IGNORED_REGION, OTHERS)
            for label in range(1, len(CLASSES) + 1) if everything else [category]:
                crowd = int(everything or score == 0)
                found.append({"category_id": label, "bbox": box, "iscrowd": crowd})
        categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES, 1)]
        return boxes_target(item, found, categories)


def _read(path: Path, item: workbench.Item) -> list[tuple[list[float], int, int]]:
    """Box, score and category of every line."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such annotation file: complete the dataset") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}): fetch it again") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            # Some published lines end with a comma.
            x, y, w, h, score, category, *_ = (int(v) for v in line.strip().strip(",").split(","))
        except ValueError:
            raise DatasetError(f"{where}: {line!r} is not {FIELDS}: correct it") from None
        if not IGNORED_REGION <= category <= OTHERS or score not in (0, 1):
            raise DatasetError(
                f"{where}: category {category} or score {score} is outside 0..{OTHERS} or 0..1: "
                "correct it"
            )
        if w == 0 or h == 0:
            continue
        box = [float(x), float(y), float(w), float(h)]
        check_box(where, box, item.width, item.height)
        rows.append((box, score, category))
    return rows


def _share_inside(box: list[float], regions: list[list[float]], item: workbench.Item) -> float:
    """Share of a box's area that lies in the union of regions."""
    import numpy as np

    if not regions:
        return 0.0
    mask = np.zeros((item.height, item.width), bool)
    for region in regions:
        mask[_pixels(region)] = True
    return float(mask[_pixels(box)].sum()) / (box[2] * box[3])


def _pixels(box: list[float]) -> tuple[slice, slice]:
    x, y, w, h = (int(value) for value in box)
    return slice(max(y, 0), y + h), slice(max(x, 0), x + w)


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the dataset of this module."""
    return [VisDrone]
