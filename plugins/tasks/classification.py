"""torchvision's image classifiers, trained on ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench.errors import DatasetError, WeightsError
from workbench.weights import WeightFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from workbench.api import Picture

SOURCE = "https://download.pytorch.org/models/"
LICENCE = "BSD-3-Clause (torchvision); trained on ImageNet"
PUBLISHED = "IMAGENET1K_V2"
N_CLASSES = 1000
MEASURES = (
    ("top1", "top-1", "share of pictures whose class is given first"),
    ("top5", "top-5", "share of pictures whose class is among the first five"),
)


class Classifier(workbench.Task):
    """A network of torchvision with its published weights: the whole picture's ImageNet class.

    The shorter side is scaled to 232 pixels and the central 224 x 224 are seen, as published.

    A dataset of 1000 classes is taken for ImageNet, its classes in the order of their WordNet
    ids; classes of any other dataset must be called as in torchvision's table.
    """

    target = "label"
    requires = ("torch", "torchvision")
    extra = "machine"
    predicts_without = ("workbench_plugins.metrics",)
    batch = 16
    architecture: ClassVar[str]
    """torchvision's name of the network."""

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            cls.metrics = tuple(
                workbench.Metric(
                    f"{cls.name}.{measure}", f"{cls.name} {label}", f"{text}, by {cls.name}",
                    limits=(0, 1), pool="set",
                )
                for measure, label, text in MEASURES
            )  # fmt: skip

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return ``{"labels": the five best classes' indices, "scores": their probabilities}``."""
        import numpy as np
        import torch

        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            x = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2)
            best = self._network(self._published.transforms()(x)).softmax(dim=1).topk(5)
        return [
            {"labels": labels, "scores": scores}
            for labels, scores in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        """Return top-1 and top-5 accuracy, 0..1.

        Raises:
            DatasetError: the dataset has a class that the network does not know.
        """
        import numpy as np

        values = self.resample(predictions, targets, np.ones((1, len(targets)), np.int64))
        return {name: float(value[0]) for name, value in values.items()}

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the values of :meth:`evaluate` on resamples of the pictures; see the API."""
        from workbench_plugins.metrics.classification import resampled_accuracy

        labels = [self._index(target) for target in targets]
        values = resampled_accuracy(predictions, labels, counts)
        return {f"{self.name}.{measure}": found for measure, found in values.items()}

    def as_target(self, prediction: Any) -> Any:
        """Return the class that was given first as the right one."""
        return {"label": prediction["labels"][0], "classes": self._names}

    def _index(self, target: Any) -> int:
        """The network's index of a picture's class."""
        if len(target["classes"]) == N_CLASSES:
            return int(target["label"])
        name = target["classes"][target["label"]].lower().replace("_", " ")
        known = [name.lower() for name in self._names]
        if name not in known:
            raise DatasetError(
                f"{self.name} has no class {name!r}: call classes as ImageNet does, for instance "
                f"{known[0]!r}, or have the folders of all {N_CLASSES}"
            )
        return known.index(name)

    @cached_property
    def _names(self) -> list[str]:
        return list(self._published.meta["categories"])

    @cached_property
    def _published(self) -> Any:
        import torchvision

        return torchvision.models.get_model_weights(self.architecture)[PUBLISHED]

    @cached_property
    def _network(self) -> nn.Module:
        import torch
        import torchvision

        [file] = self.weights
        with torch.device("meta"):
            network: nn.Module = torchvision.models.get_model(self.architecture, weights=None)
        try:
            network.load_state_dict(weights.load(file), assign=True)
        except RuntimeError as error:
            raise WeightsError(f"{file.name}: is not torchvision's network ({error})") from None
        return network.eval().requires_grad_(False).to(self.device)


class MobileNetV3(Classifier):
    """MobileNetV3-Large: 75.3 % top-1 on ImageNet's validation set."""

    name = "mobilenet-v3-large"
    architecture = "mobilenet_v3_large"
    weights = (
        WeightFile(
            "mobilenet_v3_large-5c1a4163.pth", SOURCE + "mobilenet_v3_large-5c1a4163.pth",
            "5c1a4163", 21.1, LICENCE,
        ),
    )  # fmt: skip
    citation = "Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv 1905.02244"


class ResNet50(Classifier):
    """ResNet-50: 80.9 % top-1 on ImageNet's validation set."""

    name = "resnet50"
    architecture = "resnet50"
    weights = (
        WeightFile(
            "resnet50-11ad3fa6.pth", SOURCE + "resnet50-11ad3fa6.pth", "11ad3fa6", 97.8, LICENCE
        ),
    )
    citation = "He, Zhang, Ren, Sun, CVPR 2016, arXiv 1512.03385"

    def features(self, pictures: Tensor) -> Sequence[Tensor]:
        """The outputs of the four stages, at 1/4 to 1/32 of the size."""
        preset, net = self._published.transforms(), self._network
        mean, std = (pictures.new_tensor(v)[:, None, None] for v in (preset.mean, preset.std))
        x = net.maxpool(net.relu(net.bn1(net.conv1((pictures - mean) / std))))
        maps = []
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = stage(x)
            maps.append(x)
        return maps


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the tasks of this module."""
    return [MobileNetV3, ResNet50]
