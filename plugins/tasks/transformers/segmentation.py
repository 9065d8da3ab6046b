"""Mask2Former and OneFormer (panoptic), and SegFormer (semantic)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import workbench
from workbench_plugins.tasks.detection.classes import COCO
from workbench_plugins.tasks.segmentation.base import PanopticTask, SemanticTask
from workbench_plugins.tasks.transformers.base import PICTURES, Pretrained
from workbench_plugins.tasks.transformers.snapshot import WEIGHTS, Snapshot

if TYPE_CHECKING:
    from workbench.api import Picture

# As the authors evaluate: Mask2Former's and OneFormer's OBJECT_MASK_THRESHOLD.
SURE = 0.8


class MaskClassifier(Pretrained, PanopticTask):
    """Masks with a class each, merged into segments: COCO's 80 things and 53 kinds of stuff."""

    @cached_property
    def categories(self) -> list[dict[str, Any]]:  # type: ignore[override]
        things = set(COCO.values())
        return [
            {"id": key, "name": name, "isthing": int(name in things)}
            for key, name in self._names.items()
        ]

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return panoptic segments, as :class:`PanopticTask` describes them."""
        output = self._output(images)
        found = self._processor.post_process_panoptic_segmentation(
            output,
            threshold=SURE,
            label_ids_to_fuse={c["id"] for c in self.categories if not c["isthing"]},
            target_sizes=[image.shape[:2] for image in images],
        )
        return [_segments(one) for one in found]

    def _output(self, images: Sequence[Picture]) -> Any:
        return self._forward(images)


def _segments(found: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    ids = found["segmentation"].cpu().numpy().astype(np.int32).clip(0)  # -1 where nothing is
    present = set(np.unique(ids).tolist())
    segments = [
        {"id": s["id"], "category_id": s["label_id"], "score": float(s["score"])}
        for s in found["segments_info"]
        if s["id"] in present
    ]
    return {"ids": ids, "segments": segments}


class Mask2Former(MaskClassifier):
    """Mask2Former, Swin-tiny: PQ 0.532 on COCO val2017."""

    name = "mask2former"
    snapshot = Snapshot("facebook/mask2former-swin-tiny-coco-panoptic")
    network = "Mask2FormerForUniversalSegmentation"
    processor = "Mask2FormerImageProcessor"
    citation = "Cheng, Misra, Schwing, Kirillov, Girdhar, CVPR 2022, arXiv 2112.01527"


class OneFormer(MaskClassifier):
    """OneFormer, Swin-large, asked for panoptic segments: PQ 0.579 on COCO val2017."""

    name = "oneformer"
    snapshot = Snapshot(
        "shi-labs/oneformer_coco_swin_large",
        files=("config.json", "preprocessor_config.json", "coco_panoptic.json", "vocab.json",
               "merges.txt", WEIGHTS),
        note="coco_panoptic.json is in the data set repository shi-labs/oneformer_demo",
    )  # fmt: skip
    network = "OneFormerForUniversalSegmentation"
    processor = "OneFormerImageProcessor"
    citation = "Jain, Li, Chiu, Hassani, Orlov, Shi, CVPR 2023, arXiv 2211.06220"

    @cached_property
    def _processor(self) -> Any:
        import transformers

        # The table of classes is taken from the snapshot's folder, never from the network.
        place = str(self.snapshot.verified(self.name))
        images = self._pretrained(self.processor, repo_path=place)
        return transformers.OneFormerProcessor(images, self._pretrained("CLIPTokenizer"))

    def _output(self, images: Sequence[Picture]) -> Any:
        import torch

        torch.set_num_threads(self.threads)
        inputs = self._processor(
            images=list(images), task_inputs=["panoptic"] * len(images), **PICTURES
        ).to(self.device)
        with torch.inference_mode():
            return self._model(pixel_values=inputs["pixel_values"],
                               pixel_mask=inputs["pixel_mask"],
                               task_inputs=inputs["task_inputs"])  # fmt: skip


class SegFormer(Pretrained, SemanticTask):
    """SegFormer-B0 with ADE20K's 150 classes: mIoU 0.374 on its validation set."""

    name = "segformer"
    snapshot = Snapshot(
        "nvidia/segformer-b0-finetuned-ade-512-512", "489d5cd81a0b59fab9b7ea758d3548ebe99677da"
    )
    network = "SegformerForSemanticSegmentation"
    processor = "SegformerImageProcessor"
    citation = "Xie, Wang, Yu, Anandkumar, Alvarez, Luo, NeurIPS 2021, arXiv 2105.15203"

    @cached_property
    def classes(self) -> list[str]:  # type: ignore[override]
        return list(self._names.values())

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return ``{"map": uint8 [H, W] indices of the classes}`` a picture, all of one size."""
        import numpy as np

        found = self._processor.post_process_semantic_segmentation(
            self._forward(images), target_sizes=[image.shape[:2] for image in images]
        )
        return [{"map": one.cpu().numpy().astype(np.uint8)} for one in found]


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the tasks of this module."""
    return [Mask2Former, OneFormer, SegFormer]
