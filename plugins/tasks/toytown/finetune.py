"""Training a toytown network further, on any pictures with ground truth of its classes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from workbench.errors import DatasetError
from workbench_datasets.toytown.classes import BY_NAME, THINGS
from workbench_plugins.tasks.toytown import model
from workbench_plugins.tasks.toytown.losses import IGNORE, losses
from workbench_plugins.tasks.toytown.targets import targets


def trainable(net: nn.Module) -> nn.Module:
    """Return a copy to train; its normalisation keeps the statistics it has."""
    return copy.deepcopy(net).eval().requires_grad_(True)


def loss(network: nn.Module, image: Any, target: Any) -> Tensor:
    """Return the summed losses of the network's heads for one picture.

    Args:
        image: uint8 [H, W, 3].
        target: ground truth of kind ``boxes`` or ``panoptic``; categories are matched by name.

    Raises:
        DatasetError: the dataset has none of toytown's classes.
    """
    names = {c["id"]: c["name"] for c in target["categories"] if c["name"] in BY_NAME}
    if not names:
        raise DatasetError(
            f"the dataset has none of toytown's classes ({', '.join(BY_NAME)}): use another"
        )
    height, width = image.shape[:2]
    pad = ((0, -height % model.MULTIPLE), (0, -width % model.MULTIPLE))
    things, semantic = _panoptic(target, names) if "ids" in target else _boxes(target, names, image)
    instances, boxes, classes = things
    maps = targets(np.pad(instances, pad), boxes, classes, len(THINGS))
    batch = {name: torch.from_numpy(value)[None] for name, value in maps.items()}
    labels = np.pad(semantic, pad, constant_values=IGNORE).astype(np.int64)
    batch["semantic"] = torch.from_numpy(labels)[None]
    device = next(network.parameters()).device
    x = torch.tensor(image, device=device).permute(2, 0, 1)[None] / 255
    x = functional.pad(x, (0, pad[1][1], 0, pad[0][1]), mode="replicate")
    out = network(x.contiguous(memory_format=torch.channels_last))
    phases = [labels[row::2, column::2] for row in (0, 1) for column in (0, 1)]
    if not all((phase != IGNORE).any() for phase in phases):
        out.pop("semantic", None)  # its loss looks at one of these, and needs a labelled pixel
    parts = losses(out, {name: value.to(device) for name, value in batch.items()})
    return torch.stack(list(parts.values())).sum()


def write(network: nn.Module, path: Path, record: dict[str, str]) -> None:
    """Write a file that ``model.load`` reads, with the record in its header."""
    heads = list(network.heads)  # type: ignore[arg-type]
    state = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    model.save(path, state, heads)
    save_file(load_file(path), path, {"heads": ",".join(heads), **record})


Things = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Instances [H, W], 0 or 1 + index; boxes float32 [n, 4] x, y, w, h; classes int64 [n]."""


def _panoptic(target: Any, names: dict[int, str]) -> tuple[Things, NDArray[Any]]:
    semantic = np.full(target["ids"].shape, IGNORE, np.uint8)
    instances = np.zeros(target["ids"].shape, np.int32)
    boxes: list[list[int]] = []
    classes: list[int] = []
    for segment in target["segments"]:
        if segment["category_id"] not in names:
            continue
        toy = BY_NAME[names[segment["category_id"]]]
        mask = target["ids"] == segment["id"]
        semantic[mask] = toy.train_id
        if toy.isthing and not segment.get("iscrowd") and mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x, y = int(columns[0]), int(rows[0])
            boxes.append([x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y])
            classes.append(toy.train_id)
            instances[mask] = len(boxes)
    return _things(instances, boxes, classes), semantic


def _boxes(target: Any, names: dict[int, str], image: Any) -> tuple[Things, NDArray[Any]]:
    height, width = image.shape[:2]
    boxes: list[list[float]] = []
    classes: list[int] = []
    for entry in target["annotations"]:
        x, y, w, h = entry["bbox"]
        x, y, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        toy = BY_NAME.get(names.get(entry["category_id"], ""))
        # Less than a pixel is nothing that a map can show.
        if toy and toy.isthing and not entry.get("iscrowd") and right - x >= 1 and bottom - y >= 1:
            boxes.append([x, y, right - x, bottom - y])
            classes.append(toy.train_id)
    instances = np.zeros((height, width), np.int32)
    for k in sorted(range(len(boxes)), key=lambda k: -boxes[k][2] * boxes[k][3]):
        x, y, w, h = (int(value) for value in boxes[k])
        instances[y : y + h, x : x + w] = k + 1
    for k, box in enumerate(boxes):  # none is wholly hidden
        x, y, w, h = (int(value) for value in box)
        instances[y + h // 2, x + w // 2] = k + 1
    semantic = np.full((height, width), IGNORE, np.uint8)
    return _things(instances, boxes, classes), semantic


def _things(instances: NDArray[Any], boxes: list[Any], classes: list[int]) -> Things:
    return (
        instances,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int64),
    )
