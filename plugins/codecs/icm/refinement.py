"""Refinement: latents searched for the picture at hand, in streams that any decoder takes.

g_a answers every picture in one pass, and the latents it gives are not the cheapest for theirs.
Starting from them, an encoder with time descends on

    R(y) + λ · 255² · mse(x, x̂(y))

of the very picture.  Rounding has no gradient: it is drawn, up or down with odds that follow the
distance, from a relaxed distribution that cools down to plain rounding (stochastic Gumbel
annealing; Yang, Bamler, Mandt, "Improving inference for neural image compression", NeurIPS 2020).
Networks stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .entropy import SCALE_MIN, SliceEntropyModel

STEPS, LEARNING_RATE = 200, 0.01
# Temperature falls from WARM by e^-COOLING.
WARM, COOLING = 0.5, 2.5
# Probability below which the entropy coder's tables end.
LEAST = 1e-9


def refine(
    model: SliceEntropyModel,
    y: Tensor,
    decode: Callable[[Tensor], Tensor],
    error: Callable[[Tensor], Tensor],
    rate_lambda: float,
    side: Tensor | None = None,
    steps: int = STEPS,
) -> Tensor:
    """Better latents to code, the same for the same arguments.  [1, C, h, w] -> the same.

    Args:
        model: the entropy model; its quantisation step is 1.
        y: where to start.
        decode: decoded latents [1, C, h, w] to picture [1, 3, H, W], differentiable.
        error: squared error of a picture, summed over pixels, mean over channels.
        rate_lambda: λ.
        side: what the entropy model is given beforehand.
        steps: passes forth and back.
    """
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # Copies: what inference mode made may not take part in gradients.
        y = y.detach().clone().requires_grad_(True)
        side = None if side is None else side.detach().clone()
        optimizer = torch.optim.Adam([y], LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for step in range(steps):
            cooled = torch.tensor(-COOLING * step / steps).exp()
            y_hat, bits = _code(model, y, side, WARM * cooled)
            optimizer.zero_grad()
            (bits + rate_lambda * 255**2 * error(decode(y_hat))).backward()
            optimizer.step()
            schedule.step()
        return y.detach()


def _code(
    model: SliceEntropyModel, y: Tensor, side: Tensor | None, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """(latents as decoded, bits) with rounding at a temperature."""
    z = model.h_a(y)
    _, z_likelihoods = model.entropy_bottleneck(z, training=True)
    means, scales = model.hyper_parameters(model.rounded(z))
    known = [] if side is None else [side]
    bits, y_hats = -z_likelihoods.log2().sum(), []
    for index, y_slice in enumerate(y.chunk(model.slices, dim=1)):
        support, mu, sigma = model.slice_parameters(index, means, scales, known + y_hats)
        distance = drawn_rounding(y_slice - mu, temperature)
        bits = bits - _probability(distance, sigma).log2().sum()
        y_hats.append(model.refine(index, support, mu + distance))
    return torch.cat(y_hats, dim=1), bits


def drawn_rounding(x: Tensor, temperature: Tensor) -> Tensor:
    """x rounded up or down by a draw from a relaxed distribution (ibid., Eq. 10 and 11)."""
    below = x.detach().floor()
    share = (x - below).clamp(1e-4, 1 - 1e-4)
    logits = torch.stack([-torch.atanh(share), -torch.atanh(1 - share)]) / temperature
    gumbel = -torch.empty_like(logits).exponential_().log()
    return below + torch.softmax((logits + gumbel) / temperature, dim=0)[1]


def _probability(distance: Tensor, sigma: Tensor) -> Tensor:
    """Of the interval of width 1 around a distance from the mean."""
    sigma = sigma.clamp(min=SCALE_MIN)
    upper, lower = (0.5 - distance.abs()) / sigma, (-0.5 - distance.abs()) / sigma
    return (torch.special.ndtr(upper) - torch.special.ndtr(lower)).clamp(min=LEAST)
