"""Ground truth in the COCO formats: instances with run-length masks, and panoptic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from workbench_datasets.labels import mask_box, run_lengths
from workbench_datasets.toytown.classes import BY_NAME, CLASSES, STUFF, THINGS, VOID, ToyClass
from workbench_datasets.toytown.draws import Array
from workbench_datasets.toytown.scene import VERSION, Scene

LICENCE = "CC0-1.0"


def instance_annotations(scene: Scene, image_id: int, first_id: int = 1) -> list[dict[str, Any]]:
    """COCO instance annotations of one scene; ids count from `first_id`.

    Remnants are crowd regions, so that evaluators neither expect nor punish boxes there.
    """
    return [
        {
            "id": first_id + k,
            "image_id": image_id,
            "category_id": BY_NAME[thing.category].category_id,
            "bbox": [float(value) for value in thing.bbox],
            "area": float(thing.area),
            "iscrowd": int(thing in scene.remnants),
            "segmentation": run_lengths(scene.instances == thing.number),
        }
        for k, thing in enumerate(scene.objects + scene.remnants)
    ]


def image_entry(scene: Scene, image_id: int) -> dict[str, Any]:
    """The entry of a scene in the `images` list of a COCO file."""
    height, width = scene.semantic.shape
    return {"id": image_id, "file_name": f"{scene.name}.png", "width": width, "height": height}


def categories(classes: Iterable[ToyClass]) -> list[dict[str, Any]]:
    return [
        {"id": c.category_id, "name": c.name, "supercategory": "thing" if c.isthing else "stuff",
         "isthing": int(c.isthing), "color": list(c.colour)}
        for c in classes
    ]  # fmt: skip


def coco_instances(scenes: Iterable[Scene]) -> dict[str, Any]:
    """A COCO instances dictionary (what `instances.json` holds); image ids count from 1."""
    images: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image_id, scene in enumerate(scenes, 1):
        images.append(image_entry(scene, image_id))
        found += instance_annotations(scene, image_id, len(found) + 1)
    return {"info": _info(), "images": images, "annotations": found,
            "categories": categories(THINGS)}  # fmt: skip


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


def panoptic_png(ids: Array) -> Array:
    """Segment ids as COCO stores them in PNG files: uint8 [H, W, 3], id = R + 256 G + 65536 B."""
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1).astype(np.uint8)


def coco_panoptic(scenes: Iterable[Scene]) -> tuple[dict[str, Any], list[Array]]:
    """A COCO panoptic dictionary and, image by image, the PNG maps that go with it."""
    images: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    maps: list[Array] = []
    for image_id, scene in enumerate(scenes, 1):
        ids, segments = panoptic(scene)
        images.append(image_entry(scene, image_id))
        maps.append(panoptic_png(ids))
        found.append({"image_id": image_id, "file_name": f"{scene.name}.png",
                      "segments_info": segments})  # fmt: skip
    return {"info": _info(), "images": images, "annotations": found,
            "categories": categories(CLASSES)}, maps  # fmt: skip


def _info() -> dict[str, Any]:
    return {"description": "toytown, procedural street scenes", "version": VERSION,
            "licence": LICENCE}  # fmt: skip
