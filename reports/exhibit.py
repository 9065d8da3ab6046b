"""Which pictures a report shows, and all that its viewer tells of one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.measure import describe
from workbench_reports import overlay
from workbench_reports.aggregate import Array, Measured, Series
from workbench_reports.gallery import Gallery

if TYPE_CHECKING:
    from numpy.typing import NDArray

Json = dict[str, Any]
Make = Callable[[], "NDArray[np.uint8]"]
Emit = Callable[[str, Make], str | None]
"""Gets a picture's file name and how it is made; returns why it could not be had, or None."""

LARGEST_WEBP = 16383  # pixels a side; the format has no room for more


class Exhibit:
    """The pictures behind the series of a report.

    Args:
        gallery: opens streams, predictions and datasets.
        measured: the series, in the order in which the page numbers them.
        known: disagreements of pairs of stored predictions; what is found out is added.
    """

    def __init__(
        self,
        gallery: Gallery,
        measured: Measured,
        known: dict[tuple[str, str], float] | None = None,
    ) -> None:
        self.gallery = gallery
        self._known = {} if known is None else known
        self.series = measured.series
        self.datasets = list(dict.fromkeys(s.dataset for s in self.series))
        rows = gallery.rows.images
        rows = rows[rows["output"].notna() & rows["stream"].notna() & rows["error"].isna()]
        columns = [
            "dataset", "image", "codec", "point", "output", "stream", "key", "picture_xxh3",
            "needs", "width", "height",
        ]  # fmt: skip
        self.cells = {
            (c["dataset"], c["image"], c["codec"], c["point"], c["output"]): c
            for c in rows[columns].to_dict("records")
        }

    @cached_property
    def _predictions(self) -> dict[tuple[str, str], dict[str, str]]:
        """Prediction blobs by task, of each (key, output)."""
        scores = self.gallery.rows.scores
        found: dict[tuple[str, str], dict[str, str]] = {}
        kept = scores[scores["prediction"].notna()]
        for key, output, task, sha256 in zip(
            kept["key"], kept["output"], kept["task"], kept["prediction"], strict=True
        ):
            found.setdefault((key, output), {})[task] = sha256
        return found

    @cached_property
    def _originals(self) -> dict[tuple[str, str], dict[str, str]]:
        """Predictions on the originals, by (dataset, image): those behind a lossless codec."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for (dataset, image, codec, _, output), cell in self.cells.items():
            if self.gallery.lossless(codec):
                tasks = self._predictions.get((cell["key"], output), {})
                found.setdefault((dataset, image), {}).update(tasks)
        return found

    def tasks(self) -> list[str]:
        """The tasks that have predictions on originals and on decoded pictures."""
        return sorted({task for tasks in self._originals.values() for task in tasks})

    def disagreement(self, series: Series) -> dict[str, Array]:
        """Return by task how far predictions are from the original's [P, N]; NaN where unknown."""
        made = {task: np.full(series.ok.shape, np.nan) for task in self.tasks()}
        for n, image in enumerate(series.images):
            originals = self._originals.get((series.dataset, image), {})
            for p, point in enumerate(series.points):
                cell = self.cells.get((series.dataset, image, series.codec, point, series.output))
                if cell is None:
                    continue
                for task, sha256 in self._predictions.get((cell["key"], series.output), {}).items():
                    if task in originals:
                        made[task][p, n] = self._between(originals[task], sha256)
        return {task: values for task, values in made.items() if np.isfinite(values).any()}

    def _between(self, original: str, decoded: str) -> float:
        """The disagreement of two stored predictions; NaN where they are of another form."""
        if (original, decoded) not in self._known:
            read = self.gallery.prediction
            found = overlay.disagreement(read(original), read(decoded))
            self._known[original, decoded] = np.nan if found is None else found
        return self._known[original, decoded]

    def detail(
        self, dataset: str, image: str, emit: Emit, chosen: Callable[[Series, int], bool]
    ) -> Json:
        """Return all that the viewer tells of a picture; ``emit`` gets every file it needs.

        ``chosen`` says which points of a series are shown.
        """
        known = {
            task: self.gallery.prediction(sha256)
            for task, sha256 in self._originals.get((dataset, image), {}).items()
        }
        original = self._file(
            f"o{self._sha256(dataset, image)[:32]}",
            self._size(dataset, image),
            lambda: self.gallery.original(dataset, image),
            emit,
        )
        cells: Json = {}
        for index, series in enumerate(self.series):
            if series.dataset != dataset:
                continue
            shown: Json = {}
            for p, point in enumerate(series.points):
                cell = self.cells.get((dataset, image, series.codec, point, series.output))
                if cell is not None and chosen(series, p):
                    shown[str(p)] = self._cell(cell, known, emit)
            cells[str(index)] = shown
        return {
            "original": {**original, "tasks": self._tasks(known, {}, emit)},
            "cells": cells,
        }

    def _cell(self, cell: Json, known: Json, emit: Emit) -> Json:
        size = (int(cell["width"]), int(cell["height"]))
        made = self._file(
            f"d{cell['picture_xxh3']}", size, lambda: self.gallery.decoded(cell), emit
        )
        try:
            made["layers"] = self.gallery.layers(cell)
        except WorkbenchError as error:
            made["error"] = str(error)
        found = {
            task: self.gallery.prediction(sha256)
            for task, sha256 in self._predictions.get((cell["key"], cell["output"]), {}).items()
        }
        made["tasks"] = self._tasks(found, known, emit)
        return made

    def _tasks(self, found: Json, known: Json, emit: Emit) -> Json:
        """What to draw of predictions ``found``, given those on the original, by task."""
        made: Json = {}
        for task, prediction in found.items():
            before = known.get(task)
            names = self.gallery.label_names(task)
            made[task] = overlay.drawn(before, prediction, names) or {}
            made[task]["disagreement"] = overlay.disagreement(before, prediction)
            pictures = {
                "classes": overlay.class_picture(prediction),
                "changed": overlay.changed_pixels(before, prediction),
            }
            for kind, picture in pictures.items():
                if picture is not None:
                    made[task][kind] = self._drawing(picture, emit)
            masks = overlay.mask_pictures(before, prediction)
            if masks:
                made[task]["masks"] = {k: self._drawing(p, emit) for k, p in masks.items()}
        return made

    def _drawing(self, picture: NDArray[np.uint8], emit: Emit) -> Any:
        """The file of a picture that is drawn over another, named by its contents."""
        stem = f"m{hashlib.sha256(picture.tobytes()).hexdigest()[:32]}"
        return self._file(stem, (picture.shape[1], picture.shape[0]), lambda: picture, emit)["file"]

    @staticmethod
    def _file(stem: str, size: tuple[int, int], make: Make, emit: Emit) -> Json:
        name = f"{stem}.{'webp' if max(size) <= LARGEST_WEBP else 'png'}"
        error = emit(name, make)
        return {"file": None, "error": error} if error else {"file": name}

    def _item(self, dataset: str, image: str) -> Json:
        return next(row for row in self.gallery.rows.items[dataset] if row["name"] == image)

    def _sha256(self, dataset: str, image: str) -> str:
        return str(self._item(dataset, image)["sha256"])

    def _size(self, dataset: str, image: str) -> tuple[int, int]:
        item = self._item(dataset, image)
        return int(item["width"]), int(item["height"])


def encoded(name: str, picture: NDArray[np.uint8]) -> bytes:
    """Return a picture as the bytes of a file of this name, lossless, uint8 [H, W, 3 or 4]."""
    import imagecodecs

    if name.endswith(".png"):
        return bytes(imagecodecs.png_encode(picture, level=4))
    return bytes(imagecodecs.webp_encode(picture, lossless=True, method=0))


def writer(folder: Path) -> Emit:
    """Return an ``emit`` that writes files into a folder; those that are there are not made again.

    File names cover their contents: a report that is made again decodes nothing anew.
    """

    def emit(name: str, make: Make) -> str | None:
        path = folder / name
        if path.exists():
            return None
        try:
            data = encoded(name, make())
        except Exception as error:  # of a codec or a dataset: the page says so in its place
            return describe(error)
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
        return None

    return emit


def telling(series: Sequence[Series], dataset: str, disagreements: Sequence[Json]) -> list[int]:
    """Order the pictures of a dataset, those first that are the best to look at.

    With predictions: by how far they are from the original's, over all codecs and points.
    Otherwise: by how far apart codecs are in their first metric, each at its middle point.
    """
    own = [(s, d) for s, d in zip(series, disagreements, strict=True) if s.dataset == dataset]
    found = [values for _, by_task in own for values in by_task.values()]
    if found:
        stacked = np.concatenate(found)
        known = np.isfinite(stacked)
        spread = np.where(known, stacked, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    else:
        name = next((n for s, _ in own for n in s.values), None)
        middles = [
            s.values[name][len(s.points) // 2]
            for s, _ in own
            if name in s.values and len(s.points) > 1
        ]
        spread = np.zeros(len(own[0][0].images))
        if len(middles) > 1:
            values = np.where(np.isfinite(middles), middles, np.nan)
            whole = np.isfinite(values).all(axis=0)
            spread[whole] = np.ptp(values[:, whole], axis=0)
    return [int(i) for i in np.argsort(-spread, kind="stable")]


def spread_points(n_points: int, wanted: int | None) -> set[int]:
    """Return ``wanted`` of the points, evenly from the lowest to the highest rate; all by None."""
    if wanted is None or wanted >= n_points:
        return set(range(n_points))
    if wanted == 1:
        return {n_points // 2}
    return {round(k * (n_points - 1) / (wanted - 1)) for k in range(wanted)}
