"""COCO panoptic: a segment for every pixel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import describe_file
from workbench_datasets.labels import read_panoptic_ids

VOID = 255


class CocoPanoptic(workbench.Dataset):
    """Pictures with COCO panoptic annotations: ``coco-panoptic:IMAGES:PANOPTIC.json:PNG_FOLDER``.

    ``semantic`` targets are the categories of the segments, in the order of the file; crowd
    segments keep their class.
    """

    name = "coco-panoptic"
    scheme = True
    licence = "annotations CC BY 4.0; pictures each their author's"
    targets = ("panoptic", "semantic")
    citation = "Kirillov, He, Girshick, Rother, Dollár, Panoptic Segmentation, CVPR 2019"

    @cached_property
    def _files(self) -> tuple[Path, Path, Path]:
        parts = self.argument.split(":")
        if len(parts) != 3 or not all(parts):
            raise DatasetError(
                f"coco-panoptic:{self.argument}: write "
                "coco-panoptic:IMAGES:PANOPTIC.json:PNG_FOLDER"
            )
        images, file, maps = map(Path, parts)
        return images, file, maps

    @cached_property
    def _categories(self) -> list[dict[str, Any]]:
        return list(self._content["categories"])

    @cached_property
    def _content(self) -> dict[str, Any]:
        file = self._files[1]
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            content["categories"]
            for entry in content["annotations"]:
                entry["segments_info"], entry["image_id"], entry["file_name"]
            by_id = {entry["id"]: entry["file_name"] for entry in content["images"]}
        except FileNotFoundError:
            raise DatasetError(f"{file}: no such annotation file") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{file}: not a COCO panoptic file ({error!r})") from None
        for entry in content["annotations"]:
            if entry["image_id"] not in by_id:
                raise DatasetError(
                    f"{file}: annotation {entry['file_name']} names image {entry['image_id']}, "
                    "which is not listed under images: correct the file"
                )
        if not content["annotations"]:
            raise DatasetError(f"{file}: lists no annotations: nothing could be judged")
        content["by_name"] = {by_id[entry["image_id"]]: entry for entry in content["annotations"]}
        return content

    def items(self) -> Sequence[workbench.Item]:
        folder, _, maps = self._files
        for place in (folder, maps):
            if not place.is_dir():
                raise DatasetError(f"{place}: no such folder")
        return [describe_file(name, folder / name) for name in sorted(self._content["by_name"])]

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind not in self.targets:
            return super().load_target(item, kind)
        import numpy as np

        entry = self._content["by_name"][item.name]
        path = self._files[2] / entry["file_name"]
        ids = read_panoptic_ids(path, item.width, item.height)
        segments = [{"iscrowd": 0, **segment} for segment in entry["segments_info"]]
        listed = [segment["id"] for segment in segments]
        if set(np.unique(ids).tolist()) - {0} != set(listed):
            odd = sorted((set(np.unique(ids).tolist()) - {0}) ^ set(listed))
            raise DatasetError(
                f"{path}: segments {odd[:5]} are in the map or in {self._files[1]}, but not in "
                "both: the two do not belong together"
            )
        if kind == "panoptic":
            return {"ids": ids, "segments": segments, "categories": self._categories}
        return self._semantic(ids, segments)

    def _semantic(self, ids: Any, segments: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import numpy as np

        number = {category["id"]: n for n, category in enumerate(self._categories)}
        found, where = np.unique(ids, return_inverse=True)
        table = np.full(len(found), VOID, np.uint8)
        for segment in segments:
            if segment["category_id"] not in number:
                raise DatasetError(
                    f"{self._files[1]}: segment {segment['id']} has category "
                    f"{segment['category_id']}, which is not listed under categories"
                )
            table[np.searchsorted(found, segment["id"])] = number[segment["category_id"]]
        names = [category["name"] for category in self._categories]
        return {"map": table[where].reshape(ids.shape), "classes": names, "void": VOID}


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the dataset of this module."""
    return [CocoPanoptic]
