"""The toytown networks as tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench_datasets.toytown.classes import CLASSES, THINGS
from workbench_plugins.tasks.detection.base import Detector
from workbench_plugins.tasks.segmentation.base import (
    PANOPTIC_MEASURES,
    SEMANTIC_MEASURES,
    PanopticTask,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from workbench.api import Picture
    from workbench_plugins.metrics.segmentation import Segmentation

    from .model import Predictor

FOLDER = Path(__file__).parents[2] / "weights"


class ShippedNetwork(workbench.Finetunable):
    """A small network trained on toytown, whose weights come with the workbench."""

    citation = "heads after arXiv 1904.07850, 1904.01355 and 1911.10194"

    predicts_without = ("workbench_plugins.metrics", "workbench_plugins.tasks.toytown.finetune")
    file: ClassVar[Path | None] = None
    """The file of a finetuned copy."""

    @classmethod
    def weights_path(cls) -> Path:
        """Where this network's weights lie."""
        return cls.file or FOLDER / f"{cls.name}.safetensors"

    @classmethod
    def finetuned(cls, name: str, path: Path) -> type[workbench.Finetunable]:
        about = f"{cls.name}, finetuned on coded pictures: {path.name}"
        return type(
            cls.__name__, (cls,),
            {"name": name, "file": path, "__doc__": about, "__module__": cls.__module__},
        )  # fmt: skip

    def trainable(self) -> nn.Module:
        from .finetune import trainable

        return trainable(self._network.net)

    def loss(self, network: nn.Module, image: Picture, target: Any) -> Tensor:
        from .finetune import loss

        return loss(network, image, target)

    def write(self, network: nn.Module, path: Path, record: dict[str, str]) -> None:
        from .finetune import write

        write(network, path, record)

    @classmethod
    def unavailable(cls) -> str | None:
        if reason := super().unavailable():
            return reason
        if not cls.weights_path().exists():
            return (
                "has no trained weights: run python -m workbench_plugins.tasks.toytown.train, "
                f"then .export, which writes {cls.weights_path()}"
            )
        return None

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        return {"weights": weights.sha256(cls.weights_path())}

    @cached_property
    def _network(self) -> Predictor:
        from .model import Predictor, load

        return Predictor(load(self.weights_path()), self.device, self.threads)

    def features(self, pictures: Tensor) -> Sequence[Tensor]:
        from .model import stage_features

        return stage_features(self._network.net, pictures)


class ToytownDetector(ShippedNetwork, Detector):
    """Boxes of toytown's six kinds of things, from a network of 1 M parameters."""

    name = "toytown-detector"
    requires = ("torch", "safetensors", "faster-coco-eval")
    categories: ClassVar[dict[int, str]] = {c.category_id: c.name for c in THINGS}

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        return list(self._network.boxes(images))


class ToytownPanoptic(ShippedNetwork, PanopticTask):
    """Panoptic segments of toytown's eleven classes, from a Panoptic-DeepLab of 1 M parameters.

    Predictions hold the semantic map too, before the grouping into segments: mIoU is its.
    """

    name = "toytown-panoptic"
    requires = ("torch", "safetensors")
    extra = "machine"
    categories: ClassVar[list[dict[str, Any]]] = [
        {"id": c.category_id, "name": c.name, "isthing": int(c.isthing)} for c in CLASSES
    ]
    measures = (*PANOPTIC_MEASURES, SEMANTIC_MEASURES[0])

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        return list(self._network.panoptic(images))

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        miou = _semantic(predictions, targets).scores()["miou"]
        return {**super().evaluate(predictions, targets), f"{self.name}.miou": miou}

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        miou = _semantic(predictions, targets).resampled(counts)["miou"]
        return {**super().resample(predictions, targets, counts), f"{self.name}.miou": miou}


def _semantic(predictions: Sequence[Any], targets: Sequence[Any]) -> Segmentation:
    from workbench_plugins.metrics.segmentation import Segmentation

    maps = [class_map(target) for target in targets]
    return Segmentation(predictions, maps, [c.name for c in CLASSES])


def class_map(target: Any) -> dict[str, Any]:
    """The ``semantic`` ground truth that a ``panoptic`` one contains."""
    import numpy as np

    void = len(target["categories"])
    index = {category["id"]: k for k, category in enumerate(target["categories"])}
    classes = {s["id"]: index[s["category_id"]] for s in target["segments"]}
    ids, where = np.unique(target["ids"], return_inverse=True)
    table = np.array([classes.get(number, void) for number in ids.tolist()], np.uint8)
    return {
        "map": table[where].reshape(target["ids"].shape),
        "classes": [category["name"] for category in target["categories"]],
        "void": void,
    }


@workbench.hookimpl
def workbench_tasks() -> Iterable[type[workbench.Task]]:
    """Return the tasks of this module."""
    return [ToytownDetector, ToytownPanoptic]
