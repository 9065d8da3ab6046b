"""What all detectors share: metrics, scoring, resamples, their own predictions as ground truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench.errors import DatasetError
from workbench_plugins.tasks.detection.classes import COCO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench_plugins.metrics.detection import CocoEvaluation, Kind

    Evaluate = Callable[[CocoEvaluation], Mapping[str, Any]]

F1_SCORE = 0.5
# A detection on the original picture is an object where a task is its own reference.
REFERENCE_SCORE = 0.5
MEASURES = (
    ("map", "mAP50:95", "mean average precision over IoU 0.50 to 0.95"),
    ("map50", "mAP50", "mean average precision at IoU 0.50"),
    ("map75", "mAP75", "mean average precision at IoU 0.75"),
    ("map_small", "mAP small", "mean average precision of objects below 32² pixels"),
    ("map_medium", "mAP medium", "mean average precision of objects of 32² to 96² pixels"),
    ("map_large", "mAP large", "mean average precision of objects above 96² pixels"),
    ("f1", "F1", f"F1 of detections with score {F1_SCORE:g} or more, at IoU 0.50"),
)


class Detector(workbench.Task):
    """A detector: subclasses set ``name`` and ``categories`` and define ``predict``.

    A prediction is a dict of arrays: ``boxes`` float32 ``[N, 4]`` (x0, y0, x1, y1 in pixels,
    within the picture), ``scores`` float32 ``[N]`` (0..1, highest first), ``labels`` int64 ``[N]``
    (keys of ``categories``), and with ``masks`` a list of N run-length encodings as COCO has them:
    ``{"size": [H, W], "counts": str}``.

    A label means the dataset's category of the same name; other labels are left out. The
    dataset's categories that the detector does not know count as never found, as COCO has it.

    Metrics are named ``NAME.box_map``, ``NAME.mask_map``, and so on: each detector has its own.
    """

    target = "boxes"
    requires = ("faster-coco-eval",)
    extra = "machine"
    predicts_without = ("workbench_plugins.metrics",)
    categories: ClassVar[Mapping[int, str]] = MappingProxyType(COCO)
    masks: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            cls.metrics = tuple(
                workbench.Metric(
                    f"{cls.name}.{kind}_{measure}",
                    f"{cls.name} {label}{' of masks' if kind == 'mask' else ''}",
                    f"{text}, {'boxes' if kind == 'box' else 'masks'} found by {cls.name}",
                    limits=(0, 1),
                    pool="set",
                )
                for kind in cls._kinds()
                for measure, label, text in MEASURES
            )

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        """Return COCO's average precisions and F1, each 0..1, None where nothing is to be found.

        Raises:
            DatasetError: the dataset has no category that the detector knows.
        """
        return self._scores(
            predictions,
            targets,
            lambda found: found.average_precision() | {"f1": found.f1(F1_SCORE)},
            None,
        )

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the values of :meth:`evaluate` on resamples of the pictures; see the API."""
        import numpy as np

        return self._scores(
            predictions,
            targets,
            lambda found: (
                found.resampled_average_precision(counts)
                | {"f1": found.resampled_f1(counts, F1_SCORE)}
            ),
            np.full(len(counts), np.nan),
        )

    def as_target(self, prediction: Any) -> Any:
        """Return what was found with a score of at least 0.5 as COCO annotations."""
        found = zip(prediction["boxes"], prediction["scores"], prediction["labels"], strict=True)
        annotations = []
        for i, ((x0, y0, x1, y1), score, label) in enumerate(found):
            if score >= REFERENCE_SCORE:
                box = [float(v) for v in (x0, y0, x1 - x0, y1 - y0)]
                entry = {"id": i + 1, "category_id": int(label), "bbox": box, "iscrowd": 0}
                entry["area"] = box[2] * box[3]
                if self.masks:
                    entry["segmentation"] = prediction["masks"][i]
                annotations.append(entry)
        categories = [{"id": key, "name": name} for key, name in self.categories.items()]
        return {"image": {}, "annotations": annotations, "categories": categories}

    @classmethod
    def _kinds(cls) -> dict[str, Kind]:
        return {"box": "bbox", "mask": "segm"} if cls.masks else {"box": "bbox"}

    def _scores(
        self, predictions: Sequence[Any], targets: Sequence[Any], scores: Evaluate, missing: Any
    ) -> dict[str, Any]:
        from workbench_plugins.metrics import detection

        translated = [self._translate(p, t) for p, t in zip(predictions, targets, strict=True)]
        values: dict[str, Any] = {}
        for prefix, kind in self._kinds().items():
            if kind == "segm" and not detection.has_masks(targets):
                found: Mapping[str, Any] = {measure: missing for measure, _, _ in MEASURES}
            else:
                found = scores(detection.CocoEvaluation(translated, targets, kind))
            values |= {f"{self.name}.{prefix}_{key}": value for key, value in found.items()}
        return values

    def _translate(self, prediction: Any, target: Any) -> Any:
        """Give a prediction the dataset's category ids."""
        import numpy as np

        ids = {category["name"]: category["id"] for category in target["categories"]}
        known = {key: ids[name] for key, name in self.categories.items() if name in ids}
        if not known:
            raise DatasetError(
                f"{self.name} knows none of the dataset's categories ({', '.join(sorted(ids))}): "
                "use another detector, or one whose class map has their names"
            )
        labels = [int(label) for label in prediction["labels"]]
        kept = [i for i, label in enumerate(labels) if label in known]
        translated: dict[str, Any] = {
            "boxes": np.reshape(prediction["boxes"], (-1, 4))[kept],
            "scores": np.asarray(prediction["scores"])[kept],
            "labels": np.array([known[labels[i]] for i in kept], np.int64),
        }
        if self.masks:
            translated["masks"] = [prediction["masks"][i] for i in kept]
        return translated
