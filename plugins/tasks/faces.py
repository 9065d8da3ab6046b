"""Privacy: how many of a picture's faces a detector still finds after coding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import workbench
from workbench.errors import PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.api import Picture

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.1
LEAST_NEIGHBOURS = 5
SAME_FACE_IOU = 0.5


class FacePrivacy(workbench.Task):
    """Share of the originals' faces that a detector finds after coding: lower is more private.

    The detector is OpenCV's cascade of Haar features for frontal faces. It errs both ways, so the
    reference are its own finds on the originals, whatever the dataset: the value says what coding
    takes from this detector, not whether a person is recognised. A face is found where a detection
    overlaps it with an IoU of at least 0.5.
    """

    name = "face-privacy"
    audience = "any"
    target = "self"
    requires = ("opencv-python-headless",)
    extra = "machine"
    predicts_without = ("workbench_plugins.metrics",)
    citation = "Viola, Jones, IJCV 57(2), 2004; OpenCV's cascade by R. Lienhart"
    metrics = (
        workbench.Metric(
            "faces_found",
            "Faces still found",
            "share of the original's faces that a detector finds after coding",
            higher_is_better=False,
            limits=(0, 1),
            pool="set",
        ),
    )

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return ``{"faces": int32 [N, 4]}`` a picture: x, y, width, height in pixels."""
        return [{"faces": self._find(image)} for image in images]

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        """Return the share, 0..1; None where the originals have no faces."""
        import numpy as np

        [value] = self.resample(predictions, targets, np.ones((1, len(targets)), np.int64)).values()
        return {"faces_found": None if np.isnan(value[0]) else float(value[0])}

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the value of :meth:`evaluate` on resamples of the pictures; see the API."""
        import numpy as np

        from workbench_plugins.metrics.segmentation import ratio

        found = [
            int((overlaps(target["faces"], prediction["faces"]) >= SAME_FACE_IOU).any(axis=1).sum())
            for prediction, target in zip(predictions, targets, strict=True)
        ]
        faces = [len(target["faces"]) for target in targets]
        return {"faces_found": ratio(counts @ np.array(found), counts @ np.array(faces))}

    def as_target(self, prediction: Any) -> Any:
        """Return the faces that were found as those that are there."""
        return prediction

    def _find(self, image: Picture) -> NDArray[np.int32]:
        import cv2
        import numpy as np

        cv2.setNumThreads(self.threads)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        faces = self._cascade.detectMultiScale(
            grey, scaleFactor=SCALE_STEP, minNeighbors=LEAST_NEIGHBOURS
        )
        # Threads may report faces in any order.
        return np.array(sorted(tuple(face) for face in faces), np.int32).reshape(-1, 4)

    @cached_property
    def _cascade(self) -> Any:
        import cv2

        path = cv2.data.haarcascades + CASCADE
        cascade = cv2.CascadeClassifier(path)
        if cascade.empty():
            raise PluginError(f"{self.name}: {path} cannot be read: install OpenCV again")
        return cascade


def overlaps(these: NDArray[np.int32], those: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the intersection over union of boxes x, y, width, height: [N, 4], [M, 4] -> [N, M]."""
    import numpy as np

    a, b = these[:, None].astype(np.float64), those[None].astype(np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    both: NDArray[np.float64] = shared / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared)
    return both


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [FacePrivacy]
