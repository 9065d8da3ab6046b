"""The embedded default: real photographs that installed packages ship, so no network is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import workbench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 512  # pictures are cropped to this, so that the demo stays quick


class Demo(workbench.Dataset):
    """Nine photographs from scikit-image, scikit-learn and matplotlib, at most 512×512.

    The central part of each is taken, unscaled.
    """

    name = "demo"
    licence = "as shipped by scikit-image, scikit-learn and matplotlib; public domain or CC0/CC-BY"
    requires = ("scikit-image", "scikit-learn", "matplotlib")

    @cached_property
    def _pictures(self) -> dict[str, NDArray[np.uint8]]:
        return {name: _centre(read()) for name, read in sorted(_sources().items())}

    def items(self) -> Sequence[workbench.Item]:
        return [
            workbench.Item(
                name, hashlib.sha256(repr(p.shape).encode() + p.tobytes()).hexdigest(),
                p.shape[1], p.shape[0],
            )
            for name, p in self._pictures.items()
        ]  # fmt: skip

    def load(self, item: workbench.Item) -> NDArray[np.uint8]:
        return self._pictures[item.name]


def _sources() -> dict[str, Callable[[], Any]]:
    import matplotlib
    import skimage
    import sklearn

    from workbench import images

    folders = {
        Path(skimage.__file__).parent / "data": (
            "astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "retina.jpg",
            "rocket.jpg",
        ),
        Path(sklearn.__file__).parent / "datasets" / "images": ("china.jpg", "flower.jpg"),
        Path(matplotlib.get_data_path()) / "sample_data": ("grace_hopper.jpg",),
    }  # fmt: skip
    return {
        name.partition(".")[0]: partial(images.read, folder / name)
        for folder, names in folders.items()
        for name in names
    }


def _centre(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import numpy as np

    height, width = picture.shape[:2]
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    return np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE])


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    return [Demo]
