"""The channel-conditional slice entropy model: one class for every network of this package.

    y ──► h_a ──► z ──► EntropyBottleneck ──► z_hat ──┬─► h_mean_s ──► latent means  ─┐
                                                      └─► h_scale_s ─► latent scales ─┤
                                                                                      ▼
    slice i:   support = [latent means or scales, y_hat_0 .. y_hat_{i-1}, side context]
               mu_i    = cc_mean_i(support)          sigma_i = cc_scale_i(support)
               y_hat_i = round(y_i - mu_i) + mu_i + 0.5 * tanh(lrp_i(mean support, y_hat_i))

Minnen & Singh 2020 (channel-conditional coding, latent residual prediction, LRP); the
layout and the parameter names follow LIC-TCM (Liu et al., CVPR 2023), so that its released
state dicts fit a subclass with the same dimensions.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    # CompressAI scripts a function on import, which newer versions of torch advise against.
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional

# The 64-level scale table of Ballé et al. 2018, as CompressAI has it.
SCALE_MIN, SCALE_MAX, SCALE_LEVELS = 0.11, 256.0, 64


def scale_table() -> Tensor:
    """Standard deviations the entropy coder knows, log-spaced.  [64], float64."""
    bounds = torch.tensor([SCALE_MIN, SCALE_MAX], dtype=torch.float64).log()
    return torch.linspace(
        float(bounds[0]), float(bounds[1]), SCALE_LEVELS, dtype=torch.float64
    ).exp()


def ste_round(x: Tensor) -> Tensor:
    """Round; the gradient passes straight through (Theis et al. 2017)."""
    return x + (x.round() - x).detach()


class Latents(NamedTuple):
    """What one pass through the entropy model yields in training."""

    y_hat: Tensor  # [B, M, h, w], quantised and LRP-corrected
    y_likelihoods: Tensor  # [B, M, h, w], in (0, 1]
    z_likelihoods: Tensor  # [B, N, h/4, w/4], in (0, 1]

    def bits(self) -> Tensor:
        """Estimated bits of y and z.  [B]."""
        y, z = self.y_likelihoods, self.z_likelihoods
        return -(y.log2().sum((1, 2, 3)) + z.log2().sum((1, 2, 3)))


class SliceEntropyModel(nn.Module):
    """Hyperprior and slice contexts over `latent_channels` channels in `slices` slices.

    `side_channels` > 0 adds that many channels, known to the decoder beforehand (for
    instance the base layer's y_hat), to every support.
    """

    def __init__(
        self,
        *,
        h_a: nn.Module,
        h_mean_s: nn.Module,
        h_scale_s: nn.Module,
        context: type[nn.Module],
        latent_channels: int,
        hyper_channels: int,
        slices: int,
        side_channels: int = 0,
    ) -> None:
        super().__init__()
        if latent_channels % slices:
            raise ValueError(
                f"latent_channels {latent_channels} does not divide into {slices} slices: "
                "choose a multiple"
            )
        self.slices = slices
        self.slice_channels = width = latent_channels // slices
        self.h_a, self.h_mean_s, self.h_scale_s = h_a, h_mean_s, h_scale_s
        support = [latent_channels + side_channels + width * i for i in range(slices)]
        self.cc_mean_transforms = nn.ModuleList(context(n, width) for n in support)
        self.cc_scale_transforms = nn.ModuleList(context(n, width) for n in support)
        self.lrp_transforms = nn.ModuleList(context(n + width, width) for n in support)
        self.entropy_bottleneck = EntropyBottleneck(hyper_channels)
        self.gaussian_conditional = GaussianConditional(None)

    def hyper_parameters(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Latent means and scales.  [B, N, h/4, w/4] -> two [B, M, h, w]."""
        return self.h_mean_s(z_hat), self.h_scale_s(z_hat)

    def slice_parameters(
        self, index: int, means: Tensor, scales: Tensor, known: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(mean support, mu, sigma) of slice `index`; `known` = side context and y_hat_<i."""
        mean_support = torch.cat([means, *known], dim=1)
        mu = self.cc_mean_transforms[index](mean_support)
        sigma = self.cc_scale_transforms[index](torch.cat([scales, *known], dim=1))
        return mean_support, mu, sigma

    def refine(self, index: int, mean_support: Tensor, y_hat: Tensor, step: float = 1.0) -> Tensor:
        """Latent residual prediction: the share of the rounding error that can be guessed."""
        lrp = self.lrp_transforms[index](torch.cat([mean_support, y_hat], dim=1))
        return y_hat + 0.5 * step * torch.tanh(lrp)

    def rounded(self, z: Tensor) -> Tensor:
        """z_hat, to whole steps from the medians; the gradient passes straight through."""
        medians = self.entropy_bottleneck.quantiles[:, 0, 1].detach()[None, :, None, None]
        return ste_round(z - medians) + medians

    def code_latents(self, y: Tensor, side: Tensor | None = None) -> Latents:
        """Differentiable stand-in for coding: noise in the rates, straight-through rounding."""
        z = self.h_a(y)
        _, z_likelihoods = self.entropy_bottleneck(z)
        means, scales = self.hyper_parameters(self.rounded(z))
        known = [] if side is None else [side]
        all_mu, all_sigma, y_hats = [], [], []
        for index, y_slice in enumerate(y.chunk(self.slices, dim=1)):
            support, mu, sigma = self.slice_parameters(index, means, scales, known + y_hats)
            y_hat = ste_round(y_slice - mu) + mu
            y_hats.append(self.refine(index, support, y_hat))
            all_mu.append(mu)
            all_sigma.append(sigma)
        _, y_likelihoods = self.gaussian_conditional(
            y, torch.cat(all_sigma, dim=1), torch.cat(all_mu, dim=1)
        )
        return Latents(torch.cat(y_hats, dim=1), y_likelihoods, z_likelihoods)
