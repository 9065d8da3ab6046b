"""What a training method learns and how one step of it goes; `train` does the rest.

A learner holds the network that is trained and shipped and its exponential average (EMA), the
optimisers, and the rule of a step.  Gradients go through Lightning Fabric, so that steps are the
same on one device and on several.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from .fusion import FusionNetwork
from .network import IcmNetwork
from .optim import Muon
from .recipe import Recipe
from .tcm_training import TrainableTcm

if TYPE_CHECKING:
    from lightning.fabric import Fabric

N = TypeVar("N", bound=nn.Module)
RateDistortionNetwork = IcmNetwork | FusionNetwork | TrainableTcm


class Batch(NamedTuple):
    """Float crops in 0..1 and the rate level of each."""

    x: Tensor  # [B, 3, H, W]
    edges: Tensor  # [B, 1, H, W], share of boundary
    objects: Tensor  # [B, 1, H, W]
    level: Tensor  # [B], 0..levels-1


class Learner(ABC):
    """One method of training.

    Attributes:
        network: what is trained.
        ema: its exponential average, what is measured and shipped.
        optimizers, rates: the optimisers and the peak learning rate of each.
        levels: number of trained rate levels.
        stride: pictures have sides that are multiples of it.
    """

    network: nn.Module
    ema: nn.Module
    optimizers: list[torch.optim.Optimizer]
    rates: list[float]
    levels: int
    stride: int

    @abstractmethod
    def setup(self, fabric: Fabric) -> None:
        """Move to the device and let Fabric wrap networks and optimisers."""

    @abstractmethod
    def step(self, fabric: Fabric, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Update everything once; return the logged figures, `loss` and `norm` among them."""

    @abstractmethod
    def point(self, x: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(bits [B], picture [B, 3, H, W]) of the averaged weights."""

    @abstractmethod
    def config(self) -> dict[str, object]:
        """Dimensions of the network, for checkpoints."""

    def extra_state(self) -> dict[str, Any]:
        """What else a checkpoint must hold."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back `extra_state` from a checkpoint."""
        return

    @torch.no_grad()
    def update_ema(self, decay: float) -> None:
        """Average the weights."""
        averaged = self.ema.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                averaged[name].lerp_(value, 1 - decay)


class RateDistortion(Learner):
    """A network by rate and one of the distortions of `objectives`.

    The whole network of a codec, or the additional model over a frozen base; `lambdas` are those
    of its rate levels, `dimensions` go into checkpoints.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: RateDistortionNetwork,
        lambdas: tuple[float, ...],
        dimensions: dict[str, object],
    ) -> None:
        self.recipe, self.lambdas, self.dimensions = recipe, lambdas, dimensions
        self.network: RateDistortionNetwork = network
        self.levels = len(lambdas)
        self.stride = network.stride

    def setup(self, fabric: Fabric) -> None:
        layout = torch.contiguous_format if self.recipe.tcm else torch.channels_last
        self.network.to(fabric.device, memory_format=layout)
        self.ema: RateDistortionNetwork = averaged_copy(self.network)
        self.distortion = self.recipe.objective.distortion(str(fabric.device))
        optimizers = make_optimizers(main_parameters(self.network), self.recipe)
        self.model, *wrapped = fabric.setup(self.network, *optimizers)
        self.optimizers = list(wrapped)
        self.rates = [self.recipe.lr] * len(wrapped)

    def step(self, fabric: Fabric, batch: Batch, progress: float) -> dict[str, Tensor]:
        x = batch.x
        output = self.model(x, batch.level, bfloat16=self.recipe.bfloat16)
        bpp = output.bits / (x.shape[2] * x.shape[3])
        distortion = 255**2 * self.distortion(x, output.x_hat, batch.edges, batch.objects)
        lambdas = self.network.lambda_at(batch.level)
        # Rates and λ·D grow about as λ^0.4: equal say for every rate level.
        weight = (lambdas / self.lambdas[-1]) ** -0.4
        loss = (weight * (bpp + lambdas * distortion)).mean()
        fabric.backward(loss)
        norm = descend(main_parameters(self.network), self.optimizers, self.recipe.clip)
        self._quantile_step(progress)
        return {"loss": loss, "bpp": bpp.mean(), "distortion": distortion.mean(), "norm": norm}

    def _quantile_step(self, progress: float) -> None:
        """Plain sign descent keeps the medians and tails of z up to date."""
        bottleneck = self.network.entropy_bottleneck
        (gradient,) = torch.autograd.grad(bottleneck.loss(), [bottleneck.quantiles])
        bottleneck.quantiles.data.sub_(1e-2 * max(0.1, 1 - progress) * gradient.sign())

    def point(self, x: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        output = self.ema(x, level)
        return output.bits, output.x_hat

    def config(self) -> dict[str, object]:
        return self.dimensions


def averaged_copy(network: N) -> N:
    """What the exponential average is kept in."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def main_parameters(network: nn.Module) -> list[nn.Parameter]:
    """What the rate-distortion loss trains: all but the quantiles of z and frozen networks."""
    return [
        p
        for name, p in network.named_parameters()
        if p.requires_grad and not name.endswith("quantiles")
    ]


def make_optimizers(parameters: list[nn.Parameter], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The recipe's optimiser; Muon takes the kernels and leaves the rest to AdamW."""
    if recipe.optimizer == "adam":
        return [torch.optim.Adam(parameters, recipe.lr)]
    if recipe.optimizer == "adamw":
        return [torch.optim.AdamW(parameters, recipe.lr, weight_decay=0.0)]
    kernels = [p for p in parameters if p.ndim == 4]
    rest = [p for p in parameters if p.ndim != 4]
    return [Muon(kernels, recipe.lr), torch.optim.AdamW(rest, recipe.lr, weight_decay=0.0)]


def descend(
    parameters: list[nn.Parameter], optimizers: list[torch.optim.Optimizer], clip: float
) -> Tensor:
    """One step on the gradients there are, unless they overflowed; returns their norm."""
    norm = nn.utils.clip_grad_norm_(parameters, clip)
    for optimizer in optimizers:
        if math.isfinite(norm):
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return norm
