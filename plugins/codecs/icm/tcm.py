"""LIC-TCM's network, which is SA-ICM's too; dimensions and state-dict names of the releases.

    g_a   x ─ RBS↓2 ─ CTB ×2 ─ RBS↓2 ─ CTB ×2 ─ RBS↓2 ─ CTB ×2 ─ conv↓2 ─► y [M, H/16, W/16]
    g_s   y ─ RBU↑2 ─ CTB ×2 ─ RBU↑2 ─ CTB ×2 ─ RBU↑2 ─ CTB ×2 ─ subpel↑2 ─► x_hat
    h_a   y ─ RBS↓2 ─ CTB ×2 ─ conv↓2 ─► z [192, H/64, W/64]
    h_s   z ─ RBU↑2 ─ CTB ×2 ─ subpel↑2 ─► means or scales [M, H/16, W/16]

RBS, RBU: CompressAI's ResidualBlockWithStride and ResidualBlockUpsample, 2N channels.
CTB: ConvTransBlock, windows of 8 (h_*: 4), the second of two with shifted windows.
Before a slice's context nets, its supports pass through a SWAtten.

Liu, Sun, Katto, CVPR 2023, arXiv 2303.14978; SA-ICM: arXiv 2403.04173.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .entropy import SliceEntropyModel
from .tcm_blocks import ConvTransBlock, SWAtten

if TYPE_CHECKING:
    from .fusion import Base

with warnings.catch_warnings():
    # CompressAI scripts a function on import, which newer versions of torch advise against.
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.layers import (
        ResidualBlockUpsample,
        ResidualBlockWithStride,
        conv3x3,
        subpel_conv3x3,
    )

LATENT_CHANNELS, HYPER_CHANNELS, SLICE_CHANNELS = 320, 192, 64
# The level at which the quantisation step is 1, as trained; one level more divides it by √2.
TRAINED_LEVEL, LEVELS = 3, 6


@dataclass(frozen=True)
class TcmConfig:
    """N of the paper, and the number of slices that are coded: 5, or m of an additional model."""

    n: int = 128
    slices: int = 5


def _trans(n: int, head: int, window: int = 8) -> list[nn.Module]:
    return [ConvTransBlock(n, head, window, shifted) for shifted in (False, True)]


def _analysis(n: int, outputs: int) -> nn.Sequential:
    w = 2 * n
    return nn.Sequential(
        ResidualBlockWithStride(3, w, 2),
        *_trans(n, 8),
        ResidualBlockWithStride(w, w, 2),
        *_trans(n, 16),
        ResidualBlockWithStride(w, w, 2),
        *_trans(n, 32),
        conv3x3(w, outputs, stride=2),
    )


def _synthesis(n: int) -> nn.Sequential:
    w = 2 * n
    return nn.Sequential(
        ResidualBlockUpsample(LATENT_CHANNELS, w, 2),
        *_trans(n, 32),
        ResidualBlockUpsample(w, w, 2),
        *_trans(n, 16),
        ResidualBlockUpsample(w, w, 2),
        *_trans(n, 8),
        subpel_conv3x3(w, 3, 2),
    )


def _hyper_analysis(n: int, inputs: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlockWithStride(inputs, 2 * n, 2),
        *_trans(n, 32, window=4),
        conv3x3(2 * n, HYPER_CHANNELS, stride=2),
    )


def _hyper_synthesis(n: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlockUpsample(HYPER_CHANNELS, 2 * n, 2),
        *_trans(n, 32, window=4),
        subpel_conv3x3(2 * n, outputs, 2),
    )


class TcmContext(nn.Sequential):
    """Slice context net."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            conv3x3(inputs, 224), nn.GELU(), conv3x3(224, 128), nn.GELU(), conv3x3(128, outputs)
        )


def _attention(channels: int) -> nn.Sequential:
    return nn.Sequential(SWAtten(channels, inner=128, head_channels=16, window=8))


class TcmNetwork(SliceEntropyModel):
    """The `tcm` network.  Pictures are float [B, 3, H, W] in 0..1, H and W multiples of 128.

    Released networks know one rate; others come from scaling the quantisation step, without
    training: rounding in steps of √2^(TRAINED_LEVEL - level).
    """

    stride, centred, levels = 128, True, LEVELS

    def __init__(self, config: TcmConfig) -> None:
        own = config.slices * SLICE_CHANNELS
        super().__init__(
            h_a=_hyper_analysis(config.n, own),
            h_mean_s=_hyper_synthesis(config.n, own),
            h_scale_s=_hyper_synthesis(config.n, own),
            context=TcmContext,
            latent_channels=own,
            hyper_channels=HYPER_CHANNELS,
            slices=config.slices,
        )
        self.config = config
        self.g_a = _analysis(config.n, own)
        self.g_s = _synthesis(config.n)
        supports = [own + i * SLICE_CHANNELS for i in range(config.slices)]
        self.atten_mean = nn.ModuleList(_attention(channels) for channels in supports)
        self.atten_scale = nn.ModuleList(_attention(channels) for channels in supports)

    def slice_parameters(
        self, index: int, means: Tensor, scales: Tensor, known: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean_support = self.atten_mean[index](torch.cat([means, *known], dim=1))
        mu = self.cc_mean_transforms[index](mean_support)
        scale_support = self.atten_scale[index](torch.cat([scales, *known], dim=1))
        return mean_support, mu, self.cc_scale_transforms[index](scale_support)

    def step(self, level: float) -> float:
        """Quantisation step of a rate level."""
        return float(2 ** ((TRAINED_LEVEL - level) / 2))

    def in_picture_steps(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Latents as g_s sees them."""
        return y_hat

    def analyse(self, x: Tensor, level: Tensor) -> Tensor:
        """Picture to latents.  [B, 3, H, W] -> [B, 64 · slices, H/16, W/16]."""
        return self.g_a(x)

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Quantised latents [B, M, H/16, W/16] to picture, not clamped."""
        return self.g_s(y_hat)


class TcmAdditional(TcmNetwork):
    """The release's additional-information model (`ica`): the first slices of a base are
    corrected by adding; its entropy model does not see them (arXiv 2405.09152)."""

    transforms_see_base = False

    def in_own_steps(self, base: Tensor, level: Tensor) -> Tensor:
        """The base's latents as they are."""
        return base

    def side(self, b: Tensor) -> None:
        """The entropy model is given nothing of the base."""

    def analyse_given(self, x: Tensor, base: Base, level: Tensor) -> Tensor:
        """Picture to the latents that are coded."""
        return self.g_a(x)

    def synthesise_fused(self, fused: Tensor, base: Base, level: Tensor) -> Tensor:
        """Fused latents to picture, not clamped."""
        return self.synthesise(fused, level)

    def fuse(self, y_hat: Tensor, b: Tensor) -> Tensor:
        """Coded latents [B, 64 · m, h, w] into the base's [B, M, h, w]."""
        own = y_hat.shape[1]
        return torch.cat([y_hat + b[:, :own], b[:, own:]], dim=1)
