"""Datasets of picture files: plain folders and COCO annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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

    ``boxes`` targets are the image's entry and its annotations, as they stand in the file.
    """

    name = "coco"
    scheme = True
    targets = ("boxes",)
    citation = "Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014"

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The annotation file."""
        folder, colon, file = self.argument.rpartition(":")
        if not colon:
            raise DatasetError(f"coco:{self.argument}: write coco:IMAGES:ANNOTATIONS")
        try:
            content = json.loads(Path(file).read_text())
            content["images"], content["annotations"], content["categories"]
        except FileNotFoundError:
            raise DatasetError(f"{file}: no such annotation file") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{file}: not a COCO annotation file ({error})") from None
        return {**content, "folder": folder}

    def items(self) -> Sequence[workbench.Item]:
        folder = Path(self.annotations["folder"])
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder")
        names = sorted(entry["file_name"] for entry in self.annotations["images"])
        return [describe_file(name, folder / name) for name in names]

    @cached_property
    def _by_name(self) -> dict[str, dict[str, Any]]:
        entries = {e["id"]: {"image": e, "annotations": []} for e in self.annotations["images"]}
        for annotation in self.annotations["annotations"]:
            if annotation["image_id"] not in entries:
                raise DatasetError(
                    f"coco: annotation {annotation['id']} names image {annotation['image_id']}, "
                    "which is not listed under images"
                )
            entries[annotation["image_id"]]["annotations"].append(annotation)
        return {entry["image"]["file_name"]: entry for entry in entries.values()}

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        return {**self._by_name[item.name], "categories": self.annotations["categories"]}


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    return [Folder, Coco]
