"""Training objectives: what distortion means.  Each maps (x, x_hat, edges, objects) to [B].

Pictures are float [B, 3, H, W] in 0..1, edge shares and object masks float [B, 1, H, W] in
0..1.  The rate-distortion loss is  bpp + λ · 255² · distortion  (LIC-TCM, CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from workbench.errors import WorkbenchError

Distortion = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def mse(x: Tensor, x_hat: Tensor, edges: Tensor, objects: Tensor) -> Tensor:
    """Human vision: the mean squared error."""
    return (x - x_hat).square().mean((1, 2, 3))


def edge_mask(edges: Tensor, alpha: float, radius: int) -> Tensor:
    """1 within `radius` pixels of a boundary whose share is at least `alpha`."""
    mask = (edges >= alpha).to(edges)
    return F.max_pool2d(mask, 2 * radius + 1, stride=1, padding=radius) if radius else mask


def masked_mse(
    x: Tensor,
    x_hat: Tensor,
    edges: Tensor,
    objects: Tensor,
    *,
    alpha: float,
    radius: int,
    floor: float,
) -> Tensor:
    """SA-ICM: mse(x ⊙ m, x_hat ⊙ m), m = edges of the segmentation (arXiv 2403.04173).

    `floor` > 0 leaves that small weight outside the mask.
    """
    mask = edge_mask(edges, alpha, radius).clamp(min=floor**0.5)
    return ((x - x_hat) * mask).square().mean((1, 2, 3))


def object_mse(x: Tensor, x_hat: Tensor, edges: Tensor, objects: Tensor, *, floor: float) -> Tensor:
    """Object-ICM: SA-ICM's loss with m = union of the objects' masks."""
    mask = objects.clamp(min=floor**0.5)
    return ((x - x_hat) * mask).square().mean((1, 2, 3))


@dataclass(frozen=True)
class Objective:
    """A recipe's `objective` section."""

    name: str = "mse"
    alpha: float = 0.5
    radius: int = 1
    floor: float = 0.0

    def describe(self) -> str:
        """One line for a model card."""
        return {
            "mse": "R + λ · 255² · mse(x, x̂)",
            "edges": f"R + λ · 255² · mse(x ⊙ m, x̂ ⊙ m), m = 1 within {self.radius} pixels of a "
            f"boundary of share ≥ {self.alpha:g}, its square {self.floor:g} elsewhere",
            "objects": "R + λ · 255² · mse(x ⊙ m, x̂ ⊙ m), m = 1 on objects, its square "
            f"{self.floor:g} elsewhere",
        }[self.name]

    def distortion(self) -> Distortion:
        """The function this section names."""
        if self.name == "mse":
            return mse
        if self.name == "edges":
            return partial(masked_mse, alpha=self.alpha, radius=self.radius, floor=self.floor)
        if self.name == "objects":
            return partial(object_mse, floor=self.floor)
        raise WorkbenchError(f"objective {self.name!r} is unknown: use mse, edges or objects")
