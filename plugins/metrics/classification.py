"""Top-1 and top-5 accuracy, on sets and on resamples of the pictures.

A prediction is ``{"labels": indices of the best classes, best first}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench_plugins.metrics.segmentation import ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOP = {"top1": 1, "top5": 5}


def resampled_accuracy(
    predictions: Sequence[Mapping[str, Any]],
    labels: Sequence[int],
    counts: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Return the share of pictures whose label is among the best one and five, each [R].

    Args:
        labels: the right class of every picture.
        counts: [R, N], how often each picture is in each resample.
    """
    import numpy as np

    values = {}
    for name, n in TOP.items():
        right = [
            label in list(prediction["labels"])[:n]
            for prediction, label in zip(predictions, labels, strict=True)
        ]
        values[name] = ratio(counts @ np.array(right, np.int64), counts.sum(axis=1))
    return values
