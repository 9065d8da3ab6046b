"""PatchGAN: a discriminator that judges every patch of a picture.

    x [3, H, W] ─ conv4↓2 C ─ conv4↓2 2C ─ conv4↓2 4C ─ conv4 8C ─ conv4 1 ─► [1, H/8-2, W/8-2]

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (pix2pix), CVPR
2017: with three strides, one value judges 70×70 pixels.  Its batch normalisation is replaced by
spectral normalisation (Miyato et al., ICLR 2018), which needs no statistics of the batch.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def receptive_field(kernels: list[int], strides: list[int]) -> int:
    """Side in pixels of what one value at the end of a chain of convolutions sees."""
    field, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * step
        step *= stride
    return field


class PatchDiscriminator(nn.Sequential):
    """Pictures [B, 3, H, W] in 0..1, H and W at least 32, to logits [B, 1, h, w]: real > 0."""

    STRIDES = (2, 2, 2, 1, 1)
    KERNEL = 4

    def __init__(self, width: int = 64) -> None:
        channels = (3, width, 2 * width, 4 * width, 8 * width, 1)
        layers: list[nn.Module] = []
        for n, stride in enumerate(self.STRIDES):
            conv = nn.Conv2d(channels[n], channels[n + 1], self.KERNEL, stride, padding=1)
            layers += [spectral_norm(conv), nn.LeakyReLU(0.2)]
        super().__init__(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(2 * x - 1)
        return logits


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of real patches as 1 and decoded ones as 0; ln 2 for logits of 0."""
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating: binary cross-entropy of decoded patches as 1."""
    return F.softplus(-fake).mean()
