"""Training a detector of torchvision further: losses of one picture, and files of the result."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.errors import DatasetError, WeightsError

NORMALISATION = nn.modules.batchnorm._BatchNorm


def trainable(model: nn.Module) -> nn.Module:
    """Return a copy in training mode, whose normalisation stays as it is in evaluation.

    Statistics of single decoded pictures would be worse than those of the first training.
    """
    network = copy.deepcopy(model).train().requires_grad_(True)
    for module in network.modules():
        if isinstance(module, NORMALISATION):
            module.eval()
    return network


def loss(
    network: nn.Module, image: Any, target: Any, categories: Mapping[int, str], masks: bool
) -> Tensor:
    """Return the sum of the network's losses for a picture with COCO's annotations.

    Crowds, and categories that the detector does not know, are left out.
    """
    device = next(network.parameters()).device
    x = torch.tensor(image, device=device).permute(2, 0, 1) / 255
    parts = network([x], [_target(target, categories, masks, image.shape[:2], device)])
    return torch.stack(list(parts.values())).sum()


def _target(
    target: Any, categories: Mapping[int, str], masks: bool, size: tuple[int, int], device: Any
) -> dict[str, Tensor]:
    labels = {name: label for label, name in categories.items()}
    of_id = {c["id"]: labels[c["name"]] for c in target["categories"] if c["name"] in labels}
    if not of_id:
        have = ", ".join(category["name"] for category in target["categories"])
        raise DatasetError(f"the detector knows none of the dataset's categories ({have})")
    height, width = size
    kept, corners = [], []
    for entry in target["annotations"]:
        x, y, w, h = entry["bbox"]
        box = [max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)]
        known = entry["category_id"] in of_id and not entry.get("iscrowd")
        if known and box[2] > box[0] and box[3] > box[1]:
            kept.append(entry)
            corners.append(box)
    found = {
        "boxes": torch.tensor(corners, dtype=torch.float32, device=device).reshape(-1, 4),
        "labels": torch.tensor(
            [of_id[entry["category_id"]] for entry in kept], dtype=torch.int64, device=device
        ),
    }
    if masks:
        found["masks"] = _masks(kept, height, width).to(device)
    return found


def _masks(entries: list[Any], height: int, width: int) -> Tensor:
    import numpy as np
    from faster_coco_eval import mask

    out = np.zeros((len(entries), height, width), np.uint8)
    for one, entry in zip(out, entries, strict=True):
        outline = entry.get("segmentation")
        if not outline:
            raise DatasetError(
                "an annotation has no outline: train a detector without masks on this dataset"
            )
        if isinstance(outline, list):
            outline = mask.merge(mask.frPyObjects(outline, height, width))
        elif isinstance(outline["counts"], list):
            outline = mask.frPyObjects(outline, height, width)
        one[:] = mask.decode(outline)
    return torch.from_numpy(out)


def write(network: nn.Module, path: Path, record: dict[str, str]) -> None:
    """Write a state as safetensors: kernels and matrices as float16, the rest as it is."""
    state = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value.clone())
        for name, value in network.state_dict().items()
    }
    save_file({name: value.cpu().contiguous() for name, value in state.items()}, path, record)


def read(path: Path) -> dict[str, Tensor]:
    """Return the state that :func:`write` wrote.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}): finetune again") from None
    return {
        name: value.float() if value.is_floating_point() else value for name, value in state.items()
    }
