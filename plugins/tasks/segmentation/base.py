"""What semantic and panoptic segmenters share: their metrics, and how they are judged.

A segmenter defines ``predict`` and its table of classes; see the metrics' modules for the form of
predictions and targets. Metrics are named ``NAME.miou``, ``NAME.pq`` and so on: each segmenter has
its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import workbench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench_plugins.metrics.panoptic import PanopticQuality
    from workbench_plugins.metrics.segmentation import Segmentation

VOID = 255

SEMANTIC_MEASURES = (
    ("miou", "mIoU", "intersection over union, mean over the classes"),
    ("pixel_accuracy", "pixel accuracy", "share of judged pixels that are right"),
)
PANOPTIC_MEASURES = (
    ("pq", "PQ", "panoptic quality, mean over the categories"),
    ("sq", "SQ", "segmentation quality, mean overlap of matched segments"),
    ("rq", "RQ", "recognition quality, F1 of matched segments"),
    ("pq_things", "PQ things", "panoptic quality of things"),
    ("pq_stuff", "PQ stuff", "panoptic quality of stuff"),
)


def own_metrics(
    task: str, measures: Sequence[tuple[str, str, str]]
) -> tuple[workbench.Metric, ...]:
    """Return a task's metrics from their names, labels and descriptions."""
    return tuple(
        workbench.Metric(
            f"{task}.{measure}", f"{task} {label}", f"{text}, by {task}", limits=(0, 1), pool="set"
        )
        for measure, label, text in measures
    )


class SegmentationTask(workbench.Task):
    """What both kinds do with the comparison of predictions and targets."""

    predicts_without = ("workbench_plugins.metrics",)
    measures: ClassVar[Sequence[tuple[str, str, str]]]
    """Name, label and description of each metric."""

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            cls.metrics = own_metrics(cls.name, cls.measures)

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        """Return the metrics, 0..1; None where nothing is judged.

        Raises:
            PluginError: a prediction that is not as described, or nothing that task and dataset
                share.
        """
        found = self._compare(predictions, targets).scores()
        return {f"{self.name}.{measure}": value for measure, value in found.items()}

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the values of :meth:`evaluate` on resamples of the pictures; see the API."""
        found = self._compare(predictions, targets).resampled(counts)
        return {f"{self.name}.{measure}": values for measure, values in found.items()}

    @abstractmethod
    def _compare(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> Segmentation | PanopticQuality: ...


class SemanticTask(SegmentationTask):
    """A class for every pixel: ``predict`` gives ``{"map": uint8 [H, W] class indices}``."""

    target = "semantic"
    measures = SEMANTIC_MEASURES
    classes: ClassVar[Sequence[str]]
    """What the indices mean."""

    def as_target(self, prediction: Any) -> Any:
        """Return the classes that were given as those that are right."""
        return {"map": prediction["map"], "classes": list(self.classes), "void": VOID}

    def _compare(self, predictions: Sequence[Any], targets: Sequence[Any]) -> Segmentation:
        from workbench_plugins.metrics.segmentation import Segmentation

        return Segmentation(predictions, targets, self.classes)


class PanopticTask(SegmentationTask):
    """A segment for every pixel: ``predict`` gives ``{"ids": int32 [H, W], 0 void, "segments":
    [{"id", "category_id"}, ...]}``.
    """

    target = "panoptic"
    measures = PANOPTIC_MEASURES
    categories: ClassVar[Sequence[Mapping[str, Any]]]
    """What the category ids mean: ``id``, ``name``, ``isthing``."""

    def as_target(self, prediction: Any) -> Any:
        """Return the segments that were found as those that are there."""
        segments = [{**segment, "iscrowd": 0} for segment in prediction["segments"]]
        categories = [dict(category) for category in self.categories]
        return {"ids": prediction["ids"], "segments": segments, "categories": categories}

    def _compare(self, predictions: Sequence[Any], targets: Sequence[Any]) -> PanopticQuality:
        from workbench_plugins.metrics.panoptic import PanopticQuality

        return PanopticQuality(predictions, targets, self.categories)
