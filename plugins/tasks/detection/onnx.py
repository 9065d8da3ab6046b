"""Detectors in ONNX form, each described by a manifest.

A detector of your own is a plugin file of a few lines beside its manifest, whose fields
:mod:`workbench_plugins.tasks.detection.manifest` explains::

    import workbench
    from workbench_plugins.tasks.detection.onnx import OnnxDetector

    class Mine(OnnxDetector):
        name = "mine"
        manifest = "mine.toml"

    @workbench.hookimpl
    def workbench_tasks():
        return [Mine]

``workbench run --plugin mine.py --tasks mine ...`` then runs it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench.errors import WeightsError
from workbench_plugins.tasks.detection import manifest as manifests
from workbench_plugins.tasks.detection.base import Detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.api import Picture


class OnnxDetector(Detector):
    """A detector that onnxruntime runs; subclasses name it and its manifest.

    ``manifest`` is the name of a TOML file beside the module of the class, or a path. Pictures of
    one size share a batch where the network allows it.
    """

    requires = (*Detector.requires, "onnxruntime", "opencv-python-headless")
    manifest: ClassVar[str]
    description: ClassVar[manifests.Manifest]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "manifest" in vars(cls):
            cls.description = manifests.read(cls._manifest_path())
            cls.categories = cls.description.classes
            cls.weights = (cls.description.weights,)

    @classmethod
    def _manifest_path(cls) -> Path:
        return Path(inspect.getfile(cls)).parent / cls.manifest

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        """The manifest shapes results as much as the weights do."""
        content = cls._manifest_path().read_bytes()
        return {**super().fingerprint(), cls.manifest: hashlib.sha256(content).hexdigest()}

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return the detections of pictures of one size, as :class:`Detector` describes them.

        Raises:
            PluginError: the network's output is not what the manifest describes.
            WeightsError: the network is missing, damaged or no ONNX file.
        """
        import numpy as np

        height, width = images[0].shape[:2]
        fit = _Fit(height, width, self.description)
        inputs = np.stack([fit.apply(image) for image in images])
        session = self._session
        entry = session.get_inputs()[0]
        step = len(inputs) if not isinstance(entry.shape[0], int) else entry.shape[0]
        outputs = [
            output
            for start in range(0, len(inputs), step)
            for output in session.run(None, {entry.name: inputs[start : start + step]})[0]
        ]
        return [self._prediction(output, fit) for output in outputs]

    def _prediction(self, output: NDArray[np.float32], fit: _Fit) -> dict[str, Any]:
        import numpy as np

        from workbench_plugins.tasks.detection import heads

        boxes, scores, classes = heads.decode(output, self.description)
        return {
            "boxes": fit.invert(boxes).astype(np.float32),
            "scores": scores.astype(np.float32),
            "labels": np.array(self.description.labels, np.int64)[classes],
        }

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        path = weights.verified(self.weights[0])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        on_gpu = self.device.startswith("cuda")
        provider = "CUDAExecutionProvider" if on_gpu else "CPUExecutionProvider"
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # each fault of the runtime has a type of its own
            raise WeightsError(f"{path}: onnxruntime cannot load it ({error})") from None


class _Fit:
    """Places pictures of one size in the network's input, and boxes back in the picture."""

    def __init__(self, height: int, width: int, manifest: manifests.Manifest) -> None:
        self.manifest = manifest
        self.height, self.width = height, width
        full_height, full_width = manifest.size
        if manifest.placement == "stretch":
            self.inner = manifest.size
        else:
            ratio = min(full_height / height, full_width / width)
            self.inner = (max(1, int(height * ratio)), max(1, int(width * ratio)))
        centred = manifest.placement == "centre"
        self.top = (full_height - self.inner[0]) // 2 if centred else 0
        self.left = (full_width - self.inner[1]) // 2 if centred else 0

    def apply(self, image: Picture) -> NDArray[np.float32]:
        """Return float32 [3, height, width] of the network's input."""
        import numpy as np
        from PIL import Image

        rows, columns = self.inner
        # Bilinear and free of aliasing where it shrinks, unlike OpenCV's, which YOLOX's authors
        # use: aliasing makes detections depend on how the picture lies in the pixel grid.
        scaled = np.asarray(
            Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
        )
        if self.manifest.order == "bgr":
            scaled = scaled[..., ::-1]
        full = np.full((*self.manifest.size, 3), self.manifest.pad, np.float32)
        full[self.top : self.top + rows, self.left : self.left + columns] = scaled
        full -= np.array(self.manifest.mean, np.float32)
        full *= np.array(self.manifest.scale, np.float32)
        return full.transpose(2, 0, 1)

    def invert(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return boxes [N, 4] in the picture's pixels, cut off at its edges."""
        import numpy as np

        if self.manifest.placement == "stretch":
            ratio = np.array([self.width / self.inner[1], self.height / self.inner[0]])
        else:
            full_height, full_width = self.manifest.size
            ratio = np.full(2, 1 / min(full_height / self.height, full_width / self.width))
        offset = np.array([self.left, self.top])
        corners = (boxes.reshape(-1, 2, 2) - offset) * ratio
        return corners.clip(0, [self.width, self.height]).reshape(-1, 4)


class YoloxNano(OnnxDetector):
    """YOLOX-Nano: 0.91 million parameters, 416×416, COCO's 80 categories."""

    name = "yolox-nano"
    manifest = "yolox-nano.toml"
    citation = "Ge, Liu, Wang, Li, Sun: YOLOX: Exceeding YOLO Series in 2021, arXiv 2107.08430"


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the tasks of this module."""
    return [YoloxNano]
