"""Ground truth in the COCO formats: instances with run-length masks, and panoptic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from workbench_datasets.labels import mask_box, run_lengths
from workbench_datasets.toytown.classes import BY_NAME, STUFF, VOID, ToyClass
from workbench_datasets.toytown.draws import Array
from workbench_datasets.toytown.scene import Scene


def instance_annotations(scene: Scene) -> list[dict[str, Any]]:
    """COCO instance annotations of one scene, image 1; ids count from 1.

    Remnants are crowd regions, so that evaluators neither expect nor punish boxes there.
    """
    return [
        {
            "id": number,
            "image_id": 1,
            "category_id": BY_NAME[thing.category].category_id,
            "bbox": [float(value) for value in thing.bbox],
            "area": float(thing.area),
            "iscrowd": int(thing in scene.remnants),
            "segmentation": run_lengths(scene.instances == thing.number),
        }
        for number, thing in enumerate(scene.objects + scene.remnants, 1)
    ]


def image_entry(scene: Scene) -> dict[str, Any]:
    """The entry of a scene, image 1, in the `images` list of a COCO file."""
    height, width = scene.semantic.shape
    return {"id": 1, "file_name": f"{scene.name}.png", "width": width, "height": height}


def categories(classes: Iterable[ToyClass]) -> list[dict[str, Any]]:
    return [
        {"id": c.category_id, "name": c.name, "supercategory": "thing" if c.isthing else "stuff",
         "isthing": int(c.isthing), "color": list(c.colour)}
        for c in classes
    ]  # fmt: skip


def panoptic(scene: Scene) -> tuple[Array, list[dict[str, Any]]]:
    """Segment ids int32 [H, W] (0 = void) and COCO `segments_info` of one scene.

    Things have the ids 1.. of `Scene.objects`; each kind of stuff is one segment, 1000 + its id.
    """
    ids = scene.instances.astype(np.int32)
    ids[scene.semantic == VOID] = 0
    segments: list[dict[str, Any]] = [
        {"id": thing.number, "category_id": BY_NAME[thing.category].category_id,
         "bbox": [float(v) for v in thing.bbox], "area": thing.area, "iscrowd": 0}
        for thing in scene.objects
    ]  # fmt: skip
    for kind in STUFF:
        mask = scene.semantic == kind.train_id
        area = int(mask.sum())
        if not area:
            continue
        number = 1000 + kind.category_id
        ids[mask] = number
        segments.append({"id": number, "category_id": kind.category_id, "bbox": mask_box(mask),
                         "area": area, "iscrowd": 0})  # fmt: skip
    return ids, segments
