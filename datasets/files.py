"""Datasets of picture files: plain folders and COCO annotations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import DatasetError, ImageError


def describe_file(name: str, path: Path) -> workbench.Item:
    """Describe a picture file; a file that cannot be used gives an item with the error."""
    from workbench import images

    try:
        width, height = images.probe(path)
        return workbench.Item(name, images.file_sha256(path), width, height, str(path))
    except ImageError as error:
        return workbench.Item(name, path=str(path), error=str(error))


class Folder(workbench.Dataset):
    """The pictures in a folder, by name: ``folder:PATH``. Subfolders are not entered."""

    name = "folder"
    scheme = True

    def items(self) -> Sequence[workbench.Item]:
        return list_folder(Path(self.argument))


def list_folder(folder: Path) -> list[workbench.Item]:
    """Describe a folder's picture files in the order of their names.

    Raises:
        DatasetError: no such folder, or no picture files in it.
    """
    from workbench import images

    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in images.SUFFIXES)
    if not paths:
        raise DatasetError(f"{folder}: no pictures ({', '.join(images.SUFFIXES)}) in it")
    return [describe_file(path.name, path) for path in paths]


class Coco(workbench.Dataset):
    """Pictures listed in a COCO annotation file: ``coco:IMAGES:ANNOTATIONS``.

    ``boxes`` targets are an image's entry, its annotations and all categories, as they stand in
    the file; see :mod:`workbench_datasets.labels`. As the standard evaluator has it, category ids
    may have gaps, boxes may reach over the picture's edges, images may have no annotation, and
    crowd regions (``iscrowd``) are neither to be found nor false.
    """

    name = "coco"
    scheme = True
    targets = ("boxes",)
    citation = "Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014"

    @cached_property
    def _folder(self) -> Path:
        return Path(self._parts[0])

    @cached_property
    def _file(self) -> str:
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        folder, colon, file = self.argument.rpartition(":")
        if not colon:
            raise DatasetError(f"coco:{self.argument}: write coco:IMAGES:ANNOTATIONS")
        return folder, file

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The annotation file.

        Raises:
            DatasetError: it is missing, no COCO annotation file, or contradicts itself.
        """
        try:
            content: dict[str, Any] = json.loads(Path(self._file).read_text())
            content["images"], content["annotations"], content["categories"]
        except FileNotFoundError:
            raise DatasetError(f"{self._file}: no such annotation file") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{self._file}: not a COCO annotation file ({error})") from None
        return content

    def items(self) -> Sequence[workbench.Item]:
        if not self._folder.is_dir():
            raise DatasetError(f"{self._folder}: no such folder")
        return [self._item(name) for name in sorted(self._by_name)]

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind != "boxes":
            return super().load_target(item, kind)
        return {**self._by_name[item.name], "categories": self.annotations["categories"]}

    def _item(self, name: str) -> workbench.Item:
        item = describe_file(name, self._folder / name)
        entry = self._by_name[name]["image"]
        size = (entry.get("width", item.width), entry.get("height", item.height))
        if item.error or size == (item.width, item.height):
            return item
        reason = (
            f"{item.path}: is {item.width}x{item.height}, {self._file} has {size[0]}x{size[1]}: "
            "take the picture that was annotated"
        )
        return replace(item, error=reason)

    @cached_property
    def _by_name(self) -> dict[str, dict[str, Any]]:
        """Image entry and annotations by file name."""
        try:
            return self._grouped()
        except (KeyError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{self._file}: an entry lacks {error} or has another form than COCO's"
            ) from None

    def _grouped(self) -> dict[str, dict[str, Any]]:
        images: dict[Any, dict[str, Any]] = {}
        for image in self.annotations["images"]:
            if image["id"] in images:
                raise DatasetError(f"{self._file}: two images have the id {image['id']}")
            images[image["id"]] = {"image": image, "annotations": []}
        names = [entry["image"]["file_name"] for entry in images.values()]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DatasetError(f"{self._file}: {twice} is listed twice under images")
        categories = {category["id"] for category in self.annotations["categories"]}
        for annotation in self.annotations["annotations"]:
            where = f"{self._file}: annotation {annotation.get('id')}"
            if annotation["image_id"] not in images:
                raise DatasetError(
                    f"{where} names image {annotation['image_id']}, which is not listed under "
                    "images: remove it, or add the image"
                )
            if annotation["category_id"] not in categories:
                raise DatasetError(
                    f"{where} names category {annotation['category_id']}, which is not listed "
                    "under categories: remove it, or add the category"
                )
            _check_box(annotation["bbox"], where)
            images[annotation["image_id"]]["annotations"].append(annotation)
        return dict(zip(names, images.values(), strict=True))


def _check_box(box: Sequence[float], where: str) -> None:
    if len(box) != 4 or not all(math.isfinite(v) for v in box) or min(box[2:]) < 0:
        raise DatasetError(
            f"{where} has the box {box}: it takes x, y, width and height, the last two not negative"
        )


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    return [Folder, Coco]
