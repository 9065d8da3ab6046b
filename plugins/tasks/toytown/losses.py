"""The loss of the toytown network: a weighted sum over its heads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workbench_plugins.tasks.toytown.decode import SIDE_UNIT_PX

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


def giou_loss(a: Tensor, b: Tensor) -> Tensor:
    """1 - generalised IoU (arXiv 1902.09630) of boxes given as distances [n, 4] from one point."""
    inter = (torch.minimum(a[:, 0], b[:, 0]) + torch.minimum(a[:, 2], b[:, 2])) * (
        torch.minimum(a[:, 1], b[:, 1]) + torch.minimum(a[:, 3], b[:, 3])
    )
    around = (torch.maximum(a[:, 0], b[:, 0]) + torch.maximum(a[:, 2], b[:, 2])) * (
        torch.maximum(a[:, 1], b[:, 1]) + torch.maximum(a[:, 3], b[:, 3])
    )
    area_a = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3])
    area_b = (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    union = area_a + area_b - inter
    return 1 - inter / union + (around - union) / around


def losses(out: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weighted loss of each head; their sum is minimised.

    Args:
        out: what the network gives, all heads.
        target: the maps of `targets`, batched, and `semantic` int64 [B, H, W].
    """
    labels = target["semantic"]
    # Half the resolution costs a quarter; a random phase keeps object borders unbiased.
    row, column = (int(v) for v in torch.randint(0, 2, (2,)))
    labels = labels[:, row::2, column::2]
    logits = functional.interpolate(
        out["semantic"].float(), size=labels.shape[-2:], mode="bilinear"
    )
    weights = torch.tensor(CLASS_WEIGHTS, device=logits.device)
    semantic = functional.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORE)
    mask = target["offset_mask"]
    offset = (out["offset"].float() - target["offset"]).abs().sum(1) * mask
    chosen = target["sides_mask"] > 0
    sides = torch.exp(out["box"].float().clamp(max=5.0)) * SIDE_UNIT_PX
    picked = sides.permute(0, 2, 3, 1)[chosen]
    wanted = target["sides"].permute(0, 2, 3, 1)[chosen]
    return {
        "semantic": 2.0 * semantic,
        "heat": focal(out["heat"].float(), target["heat"]),
        "box": 4.0 * giou_loss(picked, wanted).sum() / chosen.sum().clamp(min=1),
        "centre": focal(out["centre"].float(), target["centre"]),
        "offset": 0.3 * offset.sum() / mask.sum().clamp(min=1),
    }
