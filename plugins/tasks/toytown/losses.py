"""The loss of the toytown network: a weighted sum over its heads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workbench_plugins.tasks.toytown.decode import side_bins, side_distances
from workbench_plugins.tasks.toytown.network import SIDE_BINS

IGNORE = 255
CLASS_WEIGHTS = (3.0, 3.0, 1.5, 2.0, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Of the semantic classes in the order of their ids: small things count more."""


def focal(logits: Tensor, target: Tensor) -> Tensor:
    """CenterNet's penalty-reduced focal loss (Eq. 1, arXiv 1904.07850), a peak each."""
    probability = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    peak = target >= 1.0
    hit = torch.log(probability) * (1 - probability).square()
    miss = torch.log(1 - probability) * probability.square() * (1 - target).square().square()
    return -torch.where(peak, hit, miss).sum() / peak.sum().clamp(min=1)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (arXiv 1902.09630) of boxes as distances [n, 4] from one point."""
    inter = (torch.minimum(a[:, 0], b[:, 0]) + torch.minimum(a[:, 2], b[:, 2])) * (
        torch.minimum(a[:, 1], b[:, 1]) + torch.minimum(a[:, 3], b[:, 3])
    )
    around = (torch.maximum(a[:, 0], b[:, 0]) + torch.maximum(a[:, 2], b[:, 2])) * (
        torch.maximum(a[:, 1], b[:, 1]) + torch.maximum(a[:, 3], b[:, 3])
    )
    area_a = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3])
    area_b = (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    union = area_a + area_b - inter
    iou = inter / union.clamp(min=1e-6)
    return iou, iou - (around - union) / around.clamp(min=1e-6)


def box_losses(out: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses of the box head: generalised IoU, distributions (Eq. 6, arXiv 2006.04388), quality.

    The cells of a thing share one weight whatever its size: most things are small, and a mean
    over cells would leave the boxes to the few large ones.
    """
    weight = target["sides_mask"]
    chosen = weight > 0
    weight = weight[chosen]
    weight = weight / weight.sum().clamp(min=1e-6)  # [n]
    picked = out.permute(0, 2, 3, 1)[chosen].float()  # [n, 4 * SIDE_BINS + 1]
    wanted = target["sides"].permute(0, 2, 3, 1)[chosen]  # [n, 4]
    logits = picked[:, :-1].unflatten(1, (4, SIDE_BINS))
    iou, giou = overlap(side_distances(logits), wanted)
    place = side_bins(wanted)
    low = place.floor().clamp(max=SIDE_BINS - 2)
    logs = torch.log_softmax(logits, dim=-1)
    near = torch.gather(logs, 2, low.long()[..., None])[..., 0]
    far = torch.gather(logs, 2, low.long()[..., None] + 1)[..., 0]
    spread = -((low + 1 - place) * near + (place - low) * far).mean(1)
    quality = functional.binary_cross_entropy_with_logits(
        picked[:, -1], iou.detach().clamp(0, 1), reduction="none"
    )
    return {
        "box": 4.0 * ((1 - giou) * weight).sum(),
        "sides": 1.0 * (spread * weight).sum(),
        "quality": 0.5 * (quality * weight).sum(),
    }


def semantic_loss(out: Tensor, labels: Tensor) -> Tensor:
    """Weighted cross-entropy of logits [B, C, h, w] against class ids int64 [B, H, W]."""
    # Half the resolution costs a quarter; a random phase keeps object borders unbiased.
    row, column = (int(v) for v in torch.randint(0, 2, (2,)))
    labels = labels[:, row::2, column::2]
    logits = functional.interpolate(out.float(), size=labels.shape[-2:], mode="bilinear")
    weights = torch.tensor(CLASS_WEIGHTS, device=logits.device)
    return functional.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORE)


def losses(out: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weighted losses of the heads that `out` has; their sum is minimised.

    Args:
        out: what the network gives.
        target: the maps of `targets`, batched, and `semantic` int64 [B, H, W].
    """
    parts: dict[str, Tensor] = {}
    if "semantic" in out:
        parts["semantic"] = 2.0 * semantic_loss(out["semantic"], target["semantic"])
    for name in ("heat", "centre"):
        if name in out:
            parts[name] = focal(out[name].float(), target[name])
    if "box" in out:
        parts |= box_losses(out["box"], target)
    if "offset" in out:
        mask = target["offset_mask"]
        offset = (out["offset"].float() - target["offset"]).abs().sum(1) * mask
        parts["offset"] = 0.3 * offset.sum() / mask.sum().clamp(min=1)
    return parts
