"""From a network's output to boxes, scores and class indices in the network's input.

=======  ===================  ====================================================================
head     output a picture     boxes
=======  ===================  ====================================================================
yolox    [anchors, 5 + C]     centre = (output + grid) * stride, size = exp(output) * stride
yolov5   [anchors, 5 + C]     centre and size in pixels, decoded in the network
yolov8   [4 + C, anchors]     centre and size in pixels, decoded in the network
=======  ===================  ====================================================================

Scores are class probabilities, times the objectness that yolox and yolov5 have. An anchor gives a
detection for each class of sufficient score, as the three projects have it when they evaluate.
Sources: arXiv 2107.08430 and the projects' exporters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.errors import PluginError

if TYPE_CHECKING:
    from workbench_plugins.tasks.detection.manifest import Manifest

Reals = NDArray[np.float64]
Found = tuple[Reals, Reals, NDArray[np.int64]]


def decode(output: NDArray[np.float32], manifest: Manifest) -> Found:
    """Decode one picture's output; overlapping boxes of a class are thinned out.

    Returns:
        Boxes [N, 4] (x0, y0, x1, y1 in pixels of the network's input), scores [N], highest first,
        and class indices [N].

    Raises:
        PluginError: the output has another shape than the manifest implies, or no finite numbers.
    """
    rows = output.T if manifest.kind == "yolov8" else output
    n_classes = len(manifest.classes)
    first = 4 if manifest.kind == "yolov8" else 5
    height, width = manifest.size
    n_anchors = sum((height // s) * (width // s) for s in manifest.strides) or rows.shape[0]
    if rows.shape != (n_anchors, first + n_classes):
        raise PluginError(
            f"{manifest.weights.name}: gave {list(output.shape)} a picture; a {manifest.kind} head "
            f"with {n_classes} classes has {n_anchors} anchors of {first + n_classes} values"
        )
    if not np.isfinite(rows).all():
        raise PluginError(f"{manifest.weights.name}: gave values that are no finite numbers")
    values = rows.astype(np.float64)
    scores = values[:, first:]
    if first == 5:
        scores = scores * values[:, 4:5]
    anchors, classes = np.nonzero(scores >= manifest.score_threshold)
    boxes = _boxes(values[:, :4], manifest)[anchors]
    return _thin(boxes, scores[anchors, classes], classes, manifest)


def _boxes(values: Reals, manifest: Manifest) -> Reals:
    centre, size = values[:, :2], values[:, 2:]
    if manifest.kind == "yolox":
        grids, strides = [], []
        for stride in manifest.strides:
            y, x = np.mgrid[: manifest.size[0] // stride, : manifest.size[1] // stride]
            grids.append(np.stack([x, y], -1).reshape(-1, 2))
            strides.append(np.full((x.size, 1), stride))
        stride = np.concatenate(strides)
        centre = (centre + np.concatenate(grids)) * stride
        # No box is larger than e^10 strides; more would overflow.
        size = np.exp(np.minimum(size, 10.0)) * stride
    return np.concatenate([centre - size / 2, centre + size / 2], 1)


def _thin(boxes: Reals, scores: Reals, classes: NDArray[np.int64], manifest: Manifest) -> Found:
    import cv2

    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = np.array(
        cv2.dnn.NMSBoxesBatched(
            corners_and_sizes.tolist(), scores.tolist(), classes.tolist(), 0.0, manifest.nms_iou
        ),
        np.int64,
    )
    order = kept[np.argsort(-scores[kept], kind="stable")][: manifest.max_detections]
    return boxes[order], scores[order], classes[order]
