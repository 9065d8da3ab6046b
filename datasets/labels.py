"""What loaders of ground truth share: reading label maps, pairing files, boxes in COCO's form.

Three kinds of ground truth, each as plain data a picture:

- ``boxes``: ``image`` (COCO's entry), ``annotations`` (``bbox`` is x, y, width, height in pixels;
  ``iscrowd`` 1 where a detection is neither right nor wrong) and ``categories``.
- ``semantic``: ``map`` uint8 ``[H, W]`` of class ids, ``classes`` (their names) and ``void``, the
  id of pixels that are not judged.
- ``panoptic``: ``ids`` int32 ``[H, W]`` of segment ids (0 void), ``segments`` (COCO's
  ``segments_info``) and ``categories`` with ``isthing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench import Item

LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16B")


def read_labels(path: Path, width: int, height: int) -> NDArray[np.int32]:
    """Read a map of ids of 1 to 16 bits from a PNG, int32 ``[height, width]``.

    Raises:
        DatasetError: the file is missing, damaged, coloured, or of another size.
    """
    labels = _read(path, width, height)
    if labels.ndim != 2:
        raise DatasetError(f"{path}: has colours, a label map holds one id a pixel: convert it")
    return labels


def read_panoptic_ids(path: Path, width: int, height: int) -> NDArray[np.int32]:
    """Read COCO's panoptic PNG: int32 ``[height, width]``, id = R + 256 G + 65536 B.

    Raises:
        DatasetError: the file is missing, damaged, not RGB, or of another size.
    """
    labels = _read(path, width, height)
    if labels.ndim != 3 or labels.shape[2] != 3:
        raise DatasetError(f"{path}: is not RGB, as COCO's panoptic maps are: check the folder")
    return labels[..., 0] + (labels[..., 1] << 8) + (labels[..., 2] << 16)


def _read(path: Path, width: int, height: int) -> NDArray[np.int32]:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in (*LABEL_MODES, "RGB"):
                raise DatasetError(f"{path}: pixel type {image.mode} is no label map: convert it")
            labels = np.asarray(image).astype(np.int32)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such label map: complete the dataset") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}): fetch it again") from None
    if labels.shape[:2] != (height, width):
        raise DatasetError(
            f"{path}: {labels.shape[1]}x{labels.shape[0]}, its picture is {width}x{height}: "
            "a label map must have its picture's size"
        )
    return labels


def boxes_target(
    item: Item, annotations: Iterable[dict[str, Any]], categories: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return the ``boxes`` of a picture; image id 1, annotations are numbered from 1."""
    entry = {"id": 1, "file_name": item.name, "width": item.width, "height": item.height}
    numbered = [
        {"id": number, "image_id": 1, "area": annotation["bbox"][2] * annotation["bbox"][3],
         "iscrowd": 0, **annotation}
        for number, annotation in enumerate(annotations, 1)
    ]  # fmt: skip
    return {"image": entry, "annotations": numbered, "categories": list(categories)}


def check_box(where: str, box: Sequence[float], width: int, height: int) -> None:
    """Raise DatasetError unless a box (x, y, width, height) overlaps its picture."""
    x, y, w, h = box
    if not (w > 0 and h > 0 and x < width and y < height and x + w > 0 and y + h > 0):
        raise DatasetError(
            f"{where}: box x {x:g}, y {y:g}, width {w:g}, height {h:g} is empty or outside its "
            f"{width}x{height} picture: correct the annotation or check that it is the right one"
        )


def mask_box(mask: NDArray[np.bool_]) -> list[float]:
    """Return the bounding box (x, y, width, height) of a mask ``[H, W]`` that is not empty."""
    import numpy as np

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return [float(x), float(y), float(columns[-1] - x + 1), float(rows[-1] - y + 1)]


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return COCO's uncompressed run-length code of a mask ``[H, W]``: columns, zeros first."""
    import numpy as np

    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}
