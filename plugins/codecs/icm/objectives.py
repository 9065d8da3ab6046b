"""Training objectives: what distortion means.  Each maps (x, x_hat, edges, objects) to [B].

Pictures are float [B, 3, H, W] in 0..1, edge shares and object masks float [B, 1, H, W] in
0..1.  The rate-distortion loss is  bpp + λ · 255² · distortion  (LIC-TCM, CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.errors import WorkbenchError, did_you_mean

Distortion = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Features = Callable[[Tensor], Sequence[Tensor]]

# CompressAI trains each model at pairs of λ, 0.0018..0.18 for 255² · mse and 2.4..220 for
# 1 - MS-SSIM; 2.4 / 0.0018 / 255² puts both objectives on one λ axis.
MS_SSIM_WEIGHT = 2.4 / 0.0018 / 255**2
# Five scales with an 11-pixel window need more than (11 - 1) · 2⁴ pixels.
MS_SSIM_CROP = 161


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


def roi_mse(x: Tensor, x_hat: Tensor, edges: Tensor, objects: Tensor, *, inside: float) -> Tensor:
    """ROI coding: the squared error counts `inside` times as much on objects as elsewhere."""
    weight = 1 + (inside - 1) * objects
    return ((x - x_hat).square() * weight).mean((1, 2, 3))


def ms_ssim(x: Tensor, x_hat: Tensor, edges: Tensor, objects: Tensor) -> Tensor:
    """1 - MS-SSIM, times `MS_SSIM_WEIGHT`.

    Raises:
        WorkbenchError: crops are too small for five scales.
    """
    from pytorch_msssim import ms_ssim as similarity

    if min(x.shape[2:]) < MS_SSIM_CROP:
        raise WorkbenchError(
            f"objective ms-ssim: crops of {x.shape[3]}x{x.shape[2]} are too small for five "
            f"scales: set crop to 192 or more (at least {MS_SSIM_CROP}) in the recipe"
        )
    value = similarity(x_hat.clamp(0, 1), x, data_range=1.0, size_average=False)
    return MS_SSIM_WEIGHT * (1 - value)


def feature_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Mean over feature maps of |f - f̂|² / |f|², a picture.  Lists of [B, ...] -> [B]."""
    shares = [
        (a - b).square().flatten(1).sum(1) / a.square().flatten(1).sum(1).clamp(min=1e-6)
        for a, b in zip(ours, theirs, strict=True)
    ]
    return torch.stack(shares).mean(0)


def task_distance(
    x: Tensor,
    x_hat: Tensor,
    edges: Tensor,
    objects: Tensor,
    *,
    features: Sequence[Features],
    pixel: float,
    weight: float,
) -> Tensor:
    """pixel · mse + weight · feature distance in frozen recognisers (Feng et al.: ResNet-50)."""
    distances = []
    for extract in features:
        with torch.no_grad():
            wanted = extract(x)
        distances.append(feature_distance(wanted, extract(x_hat)))
    return pixel * mse(x, x_hat, edges, objects) + weight * torch.stack(distances).mean(0)


@dataclass(frozen=True)
class Objective:
    """A recipe's `objective` section; each objective reads the fields it needs."""

    name: str = "mse"
    alpha: float = 0.5  # edges: least share that makes a boundary
    radius: int = 1  # edges: width of the mask around a boundary, pixels
    floor: float = 0.0  # edges, objects: weight of the rest of the picture
    inside: float = 8.0  # roi: weight of objects, the rest has 1
    tasks: tuple[str, ...] = ()  # task: the workbench's tasks whose features count
    pixel: float = 0.25  # task: weight of the mean squared error
    weight: float = 0.004  # task: weight of the feature distance

    def __post_init__(self) -> None:
        if self.name not in DESCRIPTIONS:
            raise WorkbenchError(
                f"objective {self.name!r} is unknown.{did_you_mean(self.name, DESCRIPTIONS)}"
            )
        if self.name == "task" and not self.tasks:
            raise WorkbenchError("objective task: name differentiable tasks, tasks: [NAME, ...]")

    def describe(self) -> str:
        """One line for a model card."""
        return DESCRIPTIONS[self.name].format(o=self, tasks=", ".join(self.tasks))

    def distortion(self, device: str = "cpu") -> Distortion:
        """The function this section names; frozen task networks go to `device`.

        Raises:
            PluginError: a task is unknown, unavailable here, or not differentiable.
        """
        if self.name == "edges":
            return partial(masked_mse, alpha=self.alpha, radius=self.radius, floor=self.floor)
        if self.name == "objects":
            return partial(object_mse, floor=self.floor)
        if self.name == "roi":
            return partial(roi_mse, inside=self.inside)
        if self.name == "ms-ssim":
            return ms_ssim
        if self.name == "task":
            return partial(
                task_distance,
                features=task_features(self.tasks, device),
                pixel=self.pixel,
                weight=self.weight,
            )
        return mse


DESCRIPTIONS = {
    "mse": "R + λ · 255² · mse(x, x̂)",
    "edges": "R + λ · 255² · mse(x ⊙ m, x̂ ⊙ m), m = 1 within {o.radius} pixels of a "
    "boundary of share ≥ {o.alpha:g}, its square {o.floor:g} elsewhere",
    "objects": "R + λ · 255² · mse(x ⊙ m, x̂ ⊙ m), m = 1 on objects, its square {o.floor:g} "
    "elsewhere",
    "roi": "R + λ · 255² · mean(w · (x - x̂)²), w = {o.inside:g} on objects, 1 elsewhere",
    "ms-ssim": f"R + λ · 255² · {MS_SSIM_WEIGHT:.4f} · (1 - MS-SSIM(x, x̂))",
    "task": "R + λ · 255² · ({o.pixel:g} · mse(x, x̂) + {o.weight:g} · M), M = mean of "
    "‖f(x) - f(x̂)‖² / ‖f(x)‖² over the features f of {tasks}",
}


def task_features(names: Sequence[str], device: str) -> list[Features]:
    """The `features` of tasks of the workbench, called by name."""
    from workbench import registry

    return [kind(device).features for kind in registry.load().select_tasks(names)]
