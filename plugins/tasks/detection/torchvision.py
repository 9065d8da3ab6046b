"""torchvision's detectors with their official weights, trained on COCO train2017."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench.errors import WeightsError
from workbench.weights import WeightFile
from workbench_plugins.tasks.detection.base import Detector

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.api import Picture

SOURCE = "https://download.pytorch.org/models/"
LICENCE = "BSD-3-Clause (torchvision); trained on COCO"
N_OUTPUTS = 91  # COCO's category ids as they are, gaps included, and 0 for nothing
MASK_THRESHOLD = 0.5
# A frozen normalisation, which some of the published files come from, has no such counter.
COUNTER = ".num_batches_tracked"


def official(name: str, size_mb: float) -> tuple[WeightFile]:
    """A published file; its name ends with the first digits of its SHA-256."""
    digits = name.removesuffix(".pth").rpartition("-")[2]
    return (WeightFile(name, SOURCE + name, digits, size_mb, LICENCE),)


class TorchvisionDetector(workbench.Finetunable, Detector):
    """A detector of torchvision; subclasses give its ``network`` and ``weights``.

    Scaling, score and overlap thresholds are torchvision's own, unless ``settings``, keyword
    arguments of the network's builder, change them.
    """

    requires = (*Detector.requires, "torch", "torchvision")
    batch = 1  # pictures of some 800×1200 fill a processor's caches alone
    network: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    file: ClassVar[Path | None] = None
    """The file of a finetuned copy, in the place of ``weights``."""

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        """Return the SHA-256 of the weights."""
        return {"weights": weights.sha256(cls.file)} if cls.file else super().fingerprint()

    @classmethod
    def finetuned(cls, name: str, path: Path) -> type[workbench.Finetunable]:
        """Return the detector whose network is that of a finetuned file."""
        about = f"{cls.name}, finetuned on coded pictures: {path.name}"
        return type(
            cls.__name__, (cls,),
            {"name": name, "file": path, "weights": (), "__doc__": about,
             "__module__": cls.__module__},
        )  # fmt: skip

    def trainable(self) -> nn.Module:
        """Return a copy of the network to train."""
        from workbench_plugins.tasks.detection import finetune

        return finetune.trainable(self._model)

    def loss(self, network: nn.Module, image: Picture, target: Any) -> Tensor:
        """Return the sum of torchvision's losses for one picture.

        Raises:
            DatasetError: the dataset has no category that the detector knows, or no outlines.
        """
        from workbench_plugins.tasks.detection import finetune

        return finetune.loss(network, image, target, self.categories, self.masks)

    def write(self, network: nn.Module, path: Path, record: dict[str, str]) -> None:
        """Write the network's state as safetensors, in half precision but for its vectors."""
        from workbench_plugins.tasks.detection import finetune

        finetune.write(network, path, record)

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return the detections of pictures, as :class:`Detector` describes them.

        Raises:
            WeightsError: the weights are missing, damaged, or of another network.
        """
        import torch

        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            inputs = [
                torch.tensor(image, device=self.device).permute(2, 0, 1) / 255 for image in images
            ]
            return [self._prediction(found) for found in self._model(inputs)]

    def _prediction(self, found: Mapping[str, Tensor]) -> dict[str, Any]:
        import numpy as np

        values = {key: value.cpu().numpy() for key, value in found.items()}
        prediction = {
            "boxes": values["boxes"].astype(np.float32),
            "scores": values["scores"].astype(np.float32),
            "labels": values["labels"].astype(np.int64),
        }
        if self.masks:
            prediction["masks"] = [_encode(mask[0]) for mask in values["masks"]]
        return prediction

    def features(self, pictures: Tensor) -> Sequence[Tensor]:
        """The backbone's maps, a feature pyramid's where there is one; pictures are not scaled."""
        preset = self._model.transform
        mean, std = (
            pictures.new_tensor(v)[:, None, None] for v in (preset.image_mean, preset.image_std)
        )
        return list(self._model.backbone((pictures - mean) / std).values())

    @cached_property
    def _model(self) -> nn.Module:
        import torchvision

        model: nn.Module = torchvision.models.get_model(
            self.network,
            weights=None,
            weights_backbone=None,
            num_classes=N_OUTPUTS,
            **self.settings,
        )
        file = self.file or self.weights[0]
        try:
            wrong = model.load_state_dict(self._state(), strict=False)
        except RuntimeError as error:
            raise WeightsError(
                f"{file.name}: is not torchvision's {self.network} ({error})"
            ) from None
        missing = [key for key in wrong.missing_keys if not key.endswith(COUNTER)]
        if missing or wrong.unexpected_keys:
            raise WeightsError(
                f"{file.name}: is not torchvision's {self.network}: it lacks {missing[:3]} and has "
                f"{wrong.unexpected_keys[:3]} too many"
            )
        return model.eval().requires_grad_(False).to(self.device)

    def _state(self) -> dict[str, Tensor]:
        if self.file is None:
            return weights.load(self.weights[0])
        from workbench_plugins.tasks.detection import finetune

        return finetune.read(self.file)


def _encode(probability: Any) -> dict[str, Any]:
    """Run-length code of a mask [H, W], as COCO has it, with text in the place of bytes."""
    import numpy as np
    from faster_coco_eval import mask

    code = mask.encode(np.asfortranarray(probability >= MASK_THRESHOLD, dtype=np.uint8))
    counts = code["counts"]
    return {
        "size": [int(side) for side in code["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else counts,
    }


class FasterRcnn(TorchvisionDetector):
    """Faster R-CNN, ResNet-50 with feature pyramid, version 2: box mAP 0.467 on COCO val2017."""

    name = "faster-rcnn"
    network = "fasterrcnn_resnet50_fpn_v2"
    weights = official("fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth", 167.1)
    citation = "Ren, He, Girshick, Sun, NeurIPS 2015; Li et al., arXiv 2111.11429"


class MaskRcnn(TorchvisionDetector):
    """Mask R-CNN, ResNet-50 with feature pyramid, version 2: box mAP 0.474, masks 0.418."""

    name = "mask-rcnn"
    network = "maskrcnn_resnet50_fpn_v2"
    masks = True
    weights = official("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", 177.2)
    citation = "He, Gkioxari, Dollar, Girshick, ICCV 2017; Li et al., arXiv 2111.11429"


class RetinaNet(TorchvisionDetector):
    """RetinaNet, ResNet-50 with feature pyramid, version 2: box mAP 0.415 on COCO val2017."""

    name = "retinanet"
    network = "retinanet_resnet50_fpn_v2"
    weights = official("retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", 146.0)
    citation = "Lin, Goyal, Girshick, He, Dollar, ICCV 2017; Zhang et al., arXiv 1912.02424"


class Fcos(TorchvisionDetector):
    """FCOS, ResNet-50 with feature pyramid: box mAP 0.392 on COCO val2017."""

    name = "fcos"
    network = "fcos_resnet50_fpn"
    weights = official("fcos_resnet50_fpn_coco-99b0c9b7.pth", 123.6)
    citation = "Tian, Shen, Chen, He, ICCV 2019, arXiv 1904.01355"


class SsdLite(TorchvisionDetector):
    """SSDlite over MobileNetV3-Large at 320×320: box mAP 0.213 on COCO val2017."""

    name = "ssdlite"
    network = "ssdlite320_mobilenet_v3_large"
    weights = official("ssdlite320_mobilenet_v3_large_coco-a79551df.pth", 13.4)
    citation = "Howard et al., Searching for MobileNetV3, ICCV 2019; Liu et al., ECCV 2016"


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the tasks of this module."""
    return [FasterRcnn, MaskRcnn, RetinaNet, Fcos, SsdLite]
