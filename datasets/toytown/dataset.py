"""Toytown as a dataset of the workbench."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import workbench
from workbench.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench_datasets.toytown.scene import Scene

VAL_SCENES = 64
WIDTH, HEIGHT = 512, 320
ARGUMENT = re.compile(r"(?P<split>[a-z]+):(?P<first>\d+)-(?P<last>\d+)")


class _Toytown(workbench.Dataset):
    """Street scenes drawn on demand; nothing is downloaded.

    Targets:

    - ``boxes``: the image's COCO entry, its ``annotations`` (boxes and run-length masks) and
      ``categories``.
    - ``semantic``: uint8 ``[320, 512]`` map of class ids, 255 void, with ``classes`` (names) and
      ``void``.
    - ``panoptic``: ``ids`` int32 ``[320, 512]`` (0 void), ``segments`` (COCO ``segments_info``)
      and ``categories``.
    """

    licence = "CC0-1.0 (generated)"
    targets = ("boxes", "semantic", "panoptic")

    def __init__(self, argument: str = "", root: str | None = None) -> None:
        super().__init__(argument, root)
        self._last: Scene | None = None

    def names(self) -> Sequence[tuple[str, int]]:
        """Split and index of every scene."""
        return [("val", index) for index in range(VAL_SCENES)]

    def items(self) -> Sequence[workbench.Item]:
        from workbench_datasets.toytown.scene import scene_key, scene_name

        return [
            workbench.Item(scene_name(split, index), scene_key(split, index), WIDTH, HEIGHT)
            for split, index in self.names()
        ]

    def scene(self, item: workbench.Item) -> Scene:
        """The whole scene; the last one is kept, as pictures and targets are asked for in turn."""
        from workbench_datasets.toytown.scene import render

        if self._last is None or self._last.name != item.name:
            _, split, index = item.name.split("-")
            self._last = render(split, int(index))
        return self._last

    def load(self, item: workbench.Item) -> NDArray[np.uint8]:
        return self.scene(item).image

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        from workbench_datasets.toytown import truth
        from workbench_datasets.toytown.classes import CLASSES, THINGS, VOID

        scene = self.scene(item)
        if kind == "boxes":
            return {
                "image": truth.image_entry(scene),
                "annotations": truth.instance_annotations(scene),
                "categories": truth.categories(THINGS),
            }
        if kind == "semantic":
            return {"map": scene.semantic, "classes": [c.name for c in CLASSES], "void": VOID}
        if kind == "panoptic":
            ids, segments = truth.panoptic(scene)
            return {"ids": ids, "segments": segments, "categories": truth.categories(CLASSES)}
        return super().load_target(item, kind)


class Toytown(_Toytown):
    """The 64 validation scenes of toytown: ``toytown``."""

    name = "toytown"


class ToytownStream(_Toytown):
    """Any stretch of toytown's endless streams: ``toytown-stream:train:0-99`` (both included)."""

    name = "toytown-stream"
    scheme = True

    def names(self) -> Sequence[tuple[str, int]]:
        match = ARGUMENT.fullmatch(self.argument)
        if not match or int(match["first"]) > int(match["last"]):
            raise DatasetError(
                f"toytown-stream:{self.argument}: write toytown-stream:SPLIT:FIRST-LAST, "
                "for instance toytown-stream:train:0-99"
            )
        span = range(int(match["first"]), int(match["last"]) + 1)
        return [(match["split"], index) for index in span]


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    return [Toytown, ToytownStream]
