"""DETR, RT-DETR, and Grounding DINO, which is told in words what to look for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench_datasets.cityscapes import CLASSES as CITYSCAPES
from workbench_datasets.cityscapes import FIRST_THING
from workbench_datasets.toytown.classes import THINGS as TOYTOWN
from workbench_datasets.visdrone import CLASSES as VISDRONE
from workbench_plugins.tasks.detection.base import Detector
from workbench_plugins.tasks.detection.classes import COCO
from workbench_plugins.tasks.transformers.base import REQUIRES, Pretrained
from workbench_plugins.tasks.transformers.snapshot import WEIGHTS, Snapshot

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.api import Picture

MOST_BOXES = 300


class TransformersDetector(Pretrained, Detector):
    """Every query's box with its best class; nothing is suppressed, as in DETR."""

    requires = (*REQUIRES, "faster-coco-eval")

    @cached_property
    def categories(self) -> dict[int, str]:  # type: ignore[override]
        return self._names

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return the detections of pictures, as :class:`Detector` describes them."""
        height, width = images[0].shape[:2]
        found = self._processor.post_process_object_detection(
            self._forward(images), threshold=0.0, target_sizes=[(height, width)] * len(images)
        )
        return [
            _prediction(one["boxes"], one["scores"], one["labels"], height, width) for one in found
        ]


def _prediction(
    boxes: Tensor, scores: Tensor, labels: Tensor, height: int, width: int
) -> dict[str, Any]:
    import numpy as np

    order = scores.argsort(descending=True, stable=True)
    corners = boxes[order].float().cpu().numpy()
    return {
        "boxes": corners.clip(0, [width, height, width, height]).astype(np.float32),
        "scores": scores[order].float().cpu().numpy(),
        "labels": labels[order].cpu().numpy().astype(np.int64),
    }


class Detr(TransformersDetector):
    """DETR, ResNet-50: box mAP 0.420 on COCO val2017."""

    name = "detr"
    requires = (*TransformersDetector.requires, "timm")  # its backbone is one of timm's
    snapshot = Snapshot("facebook/detr-resnet-50", "1d5f47bd3bdd2c4bbfa585418ffe6da5028b4c0b")
    network = "DetrForObjectDetection"
    processor = "DetrImageProcessor"
    citation = "Carion et al., ECCV 2020, arXiv 2005.12872"


class RtDetr(TransformersDetector):
    """RT-DETR, ResNet-50-vd, trained on Objects365 and COCO: box mAP 0.553 on COCO val2017."""

    name = "rt-detr"
    snapshot = Snapshot(
        "PekingU/rtdetr_r50vd_coco_o365", "457857cec8ac28ddede40ecee9eed2beca321af8"
    )
    network = "RTDetrForObjectDetection"
    processor = "RTDetrImageProcessor"
    citation = "Zhao et al., CVPR 2024, arXiv 2304.08069"

    @cached_property
    def categories(self) -> dict[int, str]:  # type: ignore[override]
        # Its table calls some of COCO's 80 classes as Pascal VOC does; their order is COCO's.
        names = list(COCO.values()) if len(self._names) == len(COCO) else self._names.values()
        return dict(enumerate(names))


class GroundingDino(TransformersDetector):
    """Grounding DINO tiny, asked for COCO's 80 classes in words; it was not trained on COCO.

    The prompt is ``person. bicycle. car.`` and so on. A query's score for a class is the mean over
    the class's tokens, and the best 300 pairs of query and class are kept, as in the authors'
    evaluation on COCO. ``categories`` of a subclass asks for other classes.
    """

    name = "grounding-dino"
    snapshot = Snapshot(
        "IDEA-Research/grounding-dino-tiny",
        "a2bb814dd30d776dcf7e30523b00659f4f141c71",
        ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
         WEIGHTS),
    )  # fmt: skip
    network = "GroundingDinoForObjectDetection"
    processor = "GroundingDinoImageProcessor"
    categories: ClassVar[Mapping[int, str]] = COCO
    citation = "Liu et al., ECCV 2024, arXiv 2303.05499"

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return the detections of pictures, as :class:`Detector` describes them."""
        import torch

        height, width = images[0].shape[:2]
        tokens, spans = self._prompt
        texts = {key: value.expand(len(images), -1) for key, value in tokens.items()}
        output = self._forward(images, **texts)
        size = torch.tensor([width, height, width, height], device=self.device)
        numbers = torch.tensor(list(self.categories), device=self.device)
        predictions = []
        for logits, boxes in zip(output.logits, output.pred_boxes, strict=True):
            scores = logits.sigmoid()[:, : spans.shape[1]] @ spans.T  # [queries, classes]
            best, index = scores.flatten().topk(min(MOST_BOXES, scores.numel()))
            centre, extent = boxes[index // len(spans)].split(2, dim=-1)
            corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=-1) * size
            labels = numbers[index % len(spans)]
            predictions.append(_prediction(corners, best, labels, height, width))
        return predictions

    @cached_property
    def _prompt(self) -> tuple[dict[str, Tensor], Tensor]:
        """The prompt's tokens, and the share [classes, tokens] that each has in a class."""
        import torch

        names = [name.lower() for name in self.categories.values()]
        tokenizer = self._pretrained("AutoTokenizer")
        encoded = tokenizer(
            ". ".join(names) + ".", return_tensors="pt", return_offsets_mapping=True
        )
        offsets = encoded.pop("offset_mapping")[0]
        spans = torch.zeros(len(names), len(offsets))
        start = 0
        for row, name in zip(spans, names, strict=True):
            end = start + len(name)
            row[(offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > start)] = 1
            start = end + len(". ")
        spans /= spans.sum(dim=1, keepdim=True)
        return dict(encoded.to(self.device)), spans.to(self.device)


class GroundingDinoToytown(GroundingDino):
    """Grounding DINO tiny, asked for toytown's six kinds of things in words."""

    name = "grounding-dino-toytown"
    categories: ClassVar[Mapping[int, str]] = {c.category_id: c.name for c in TOYTOWN}


class GroundingDinoCityscapes(GroundingDino):
    """Grounding DINO tiny, asked for Cityscapes' eight kinds of things in words."""

    name = "grounding-dino-cityscapes"
    categories: ClassVar[Mapping[int, str]] = {
        key: name for key, name in CITYSCAPES.items() if key >= FIRST_THING
    }


class GroundingDinoVisDrone(GroundingDino):
    """Grounding DINO tiny, asked for VisDrone's classes in words."""

    name = "grounding-dino-visdrone"
    categories: ClassVar[Mapping[int, str]] = dict(enumerate(VISDRONE, 1))


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the tasks of this module."""
    prompted = (GroundingDinoToytown, GroundingDinoCityscapes, GroundingDinoVisDrone)
    return [Detr, RtDetr, GroundingDino, *prompted]
