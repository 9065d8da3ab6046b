"""Masks from ground truth: COCO instances, boundaries drawn by people, toytown's exact ones."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import workbench
from workbench.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


class _Exact(workbench.Segmenter):
    """What the ground truth says, without a setting."""

    exact = True

    def settings(self) -> dict[str, Any]:
        return {}


class CocoInstances(_Exact):
    """The union of the instance masks of a dataset with `boxes`: Object-ICM's mask.

    Crowd regions count, too: they are full of objects.
    """

    name = "coco-instances"
    kind = "objects"
    requires = ("faster-coco-eval",)
    extra = "machine"

    def mask(self, dataset: workbench.Dataset, item: workbench.Item) -> NDArray[np.uint8]:
        import numpy as np

        union = np.zeros((item.height, item.width), np.uint8)
        for instance in instances(dataset, item):
            union |= instance
        return union * np.uint8(255)


class CocoOutlines(CocoInstances):
    """The outlines of the instance masks of a dataset with `boxes`."""

    name = "coco-outlines"
    kind = "edges"

    def mask(self, dataset: workbench.Dataset, item: workbench.Item) -> NDArray[np.uint8]:
        import numpy as np

        from workbench.masks import outline

        edges = np.zeros((item.height, item.width), np.uint8)
        for instance in instances(dataset, item):
            edges |= outline(instance)
        return edges


def instances(dataset: workbench.Dataset, item: workbench.Item) -> Iterator[NDArray[np.uint8]]:
    """The instance masks of a picture, 0 or 1, uint8 ``[H, W]`` each.

    Raises:
        DatasetError: the dataset has no instances, or one without a segmentation.
    """
    from faster_coco_eval import mask

    for annotation in dataset.load_target(item, "boxes")["annotations"]:
        segmentation = annotation.get("segmentation")
        if not segmentation:
            raise DatasetError(
                f"{item.name}: annotation {annotation.get('id')} has no segmentation: "
                "take annotations with instance masks"
            )
        if isinstance(segmentation, list):  # polygons
            code = mask.merge(mask.frPyObjects(segmentation, item.height, item.width))
        elif isinstance(segmentation["counts"], list):
            code = mask.frPyObjects(segmentation, item.height, item.width)
        else:
            code = segmentation
        yield mask.decode(code)


class Boundaries(workbench.Segmenter):
    """Boundaries drawn by people, as BSDS500 has them: the share of annotators who saw one.

    ``annotations`` is a folder with ``NAME.png`` (share as 0..255) or BSDS500's ``NAME.mat`` for
    each picture ``NAME.jpg``, there or in a subfolder. With ``alpha``, shares from it on are marked
    fully and the rest not at all; without, the shares themselves are kept.
    """

    name = "boundaries"
    annotated = True
    citation = "Arbelaez, Maire, Fowlkes, Malik, IEEE TPAMI 33(5), 2011"

    def mask(self, dataset: workbench.Dataset, item: workbench.Item) -> NDArray[np.uint8]:
        import numpy as np

        shares = self._shares(Path(item.name).stem)
        if self.alpha is None:
            return shares
        return np.where(shares >= round(255 * self.alpha), 255, 0).astype(np.uint8)

    def _shares(self, stem: str) -> NDArray[np.uint8]:
        path = self._files.get(stem)
        if path is None:
            raise DatasetError(f"{self.annotations}: has no {stem}.png or {stem}.mat")
        try:
            return _read_shares(path)
        except Exception as error:  # damaged files raise nearly anything
            raise DatasetError(f"{path}: holds no boundaries ({error}): fetch it again") from None

    @cached_property
    def _files(self) -> dict[str, Path]:
        folder = Path(self.annotations or "")
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder of boundaries")
        found = [*folder.rglob("*.mat"), *folder.rglob("*.png")]
        return {path.stem: path for path in found}


def _read_shares(path: Path) -> NDArray[np.uint8]:
    import numpy as np

    if path.suffix == ".png":
        from PIL import Image

        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    from scipy.io import loadmat

    drawn = loadmat(path)["groundTruth"].ravel()
    share = np.mean([one["Boundaries"][0, 0] for one in drawn], axis=0)
    return np.rint(255 * share).astype(np.uint8)


class Toytown(_Exact):
    """Exact boundaries of the segments of a dataset with `panoptic` ground truth, as toytown."""

    name = "toytown"

    def mask(self, dataset: workbench.Dataset, item: workbench.Item) -> NDArray[np.uint8]:
        from workbench.masks import outline

        return outline(dataset.load_target(item, "panoptic")["ids"])


@workbench.hookimpl
def workbench_segmenters() -> list[type[workbench.Segmenter]]:
    """Return the segmenters of this module."""
    return [CocoInstances, CocoOutlines, Boundaries, Toytown]
