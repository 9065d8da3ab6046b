"""Open Images: boxes of up to 600 classes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import describe_file
from workbench_datasets.labels import boxes_target, check_box

COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")


class OpenImages(workbench.Dataset):
    """Pictures with a table of boxes: ``openimages:IMAGES:BOXES.csv[:CLASSES.csv]``.

    The pictures are those that the table names, ``ImageID.jpg``. Classes are called as in the
    table (``/m/01g317``), or, where the published table of class descriptions is given, as there
    in lower case, which is how COCO's detectors call theirs.
    Boxes of groups are crowds. Which classes were verified to be absent is not known here, so a
    detection of any class counts, unlike in the Open Images challenge.
    """

    name = "openimages"
    scheme = True
    licence = "annotations CC BY 4.0; pictures CC BY 2.0, each its author's"
    targets = ("boxes",)
    citation = "Kuznetsova et al., The Open Images Dataset V4, IJCV 128, 2020"

    @cached_property
    def _files(self) -> tuple[Path, Path, Path | None]:
        parts = self.argument.split(":")
        if len(parts) not in (2, 3) or not all(parts):
            raise DatasetError(
                f"openimages:{self.argument}: write openimages:IMAGES:BOXES.csv[:CLASSES.csv]"
            )
        return Path(parts[0]), Path(parts[1]), Path(parts[2]) if len(parts) == 3 else None

    @cached_property
    def _rows(self) -> dict[str, list[tuple[int, dict[str, str]]]]:
        """Line number and fields of every box, by picture."""
        file = self._files[1]
        by_image: dict[str, list[tuple[int, dict[str, str]]]] = {}
        rows = _table(file)
        if not rows or not set(COLUMNS) <= set(rows[0]):
            raise DatasetError(f"{file}: needs rows with the columns {', '.join(COLUMNS)}")
        for number, row in enumerate(rows, 2):  # line 1 is the header
            by_image.setdefault(row["ImageID"], []).append((number, row))
        return by_image

    @cached_property
    def _categories(self) -> dict[str, dict[str, Any]]:
        """Category entries by label; ids count from 1 in the order of the labels."""
        file = self._files[2]
        names = {}
        if file:
            lines = _lines(file)
            names = {line[0]: line[1].lower() for line in csv.reader(lines) if len(line) >= 2}
        labels = sorted({row["LabelName"] for rows in self._rows.values() for _, row in rows})
        unnamed = [label for label in labels if file and label not in names]
        if unnamed:
            raise DatasetError(f"{file}: has no name for {unnamed[0]}: take the matching table")
        return {
            label: {"id": number, "name": names.get(label, label)}
            for number, label in enumerate(labels, 1)
        }

    def items(self) -> Sequence[workbench.Item]:
        folder = self._files[0]
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder")
        names = [f"{image}.jpg" for image in sorted(self._rows)]
        return [describe_file(name, folder / name) for name in names]

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind != "boxes":
            return super().load_target(item, kind)
        found = [
            {"category_id": self._categories[row["LabelName"]]["id"],
             "bbox": self._box(number, row, item), "iscrowd": int(row.get("IsGroupOf") == "1")}
            for number, row in self._rows[item.name.removesuffix(".jpg")]
        ]  # fmt: skip
        return boxes_target(item, found, list(self._categories.values()))

    def _box(self, number: int, row: dict[str, str], item: workbench.Item) -> list[float]:
        where = f"{self._files[1]}, line {number}"
        try:
            left, right, top, bottom = (float(row[c]) for c in ("XMin", "XMax", "YMin", "YMax"))
        except (TypeError, ValueError):
            raise DatasetError(f"{where}: XMin, XMax, YMin or YMax is no number") from None
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise DatasetError(
                f"{where}: x {left:g}..{right:g}, y {top:g}..{bottom:g} is not within 0..1: "
                "coordinates are shares of the picture's sides; correct the row"
            )
        x, y = left * item.width, top * item.height
        box = [x, y, right * item.width - x, bottom * item.height - y]
        check_box(where, box, item.width, item.height)
        return box


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DatasetError(f"{file}: no such table") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: cannot be read ({error})") from None


def _table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(_lines(file)))


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the dataset of this module."""
    return [OpenImages]
