"""A learned codec's network: transforms, slice entropy model and gain units.

    x ─ g_a ─ ×gain(level) ─► y ─► slice entropy model ─► y_hat ─ ×inverse_gain ─ g_s ─► x_hat

One checkpoint covers a range of rates: the rate level is a real number between 0 and
`levels` - 1 (Cui et al., "Asymmetric Gained Deep Image Compression With Continuous Rate
Adaptation", CVPR 2021).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import lite
from .entropy import SliceEntropyModel


@dataclass(frozen=True)
class LiteConfig:
    """Dimensions of a `lite` network; stored in the weights file's header."""

    latent_channels: int = 160
    hyper_channels: int = 64
    slices: int = 5
    widths: tuple[int, int] = (48, 96)
    depths: tuple[int, int, int] = (3, 3, 1)
    lambdas: tuple[float, ...] = (0.0013, 0.0026, 0.0052, 0.0104, 0.0208, 0.0416)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> LiteConfig:
        """Inverse of `to_dict`; lists become tuples."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def log_gains(self) -> Tensor:
        """Where gains start.  The best uniform step obeys step² ∝ 1/λ at high rates.  [levels]."""
        lambdas = torch.tensor(self.lambdas)
        return 0.5 * (lambdas / lambdas[len(lambdas) // 2]).log()


def lambda_at(lambdas: tuple[float, ...], level: Tensor) -> Tensor:
    """λ of a rate level, log-linear between the given ones.  [B] -> [B]."""
    logs = torch.tensor(lambdas, device=level.device).log()
    low = level.floor().long().clamp(0, len(logs) - 2)
    t = level - low
    return (logs[low] * (1 - t) + logs[low + 1] * t).exp()


class GainUnit(nn.Module):
    """A positive factor a channel and rate level; levels in between interpolate its logarithm.

    Cui et al. 2021, Eq. 6: gain = gain_r^(1-t) · gain_{r+1}^t.
    """

    def __init__(self, log_start: Tensor, channels: int) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(log_start[:, None].repeat(1, channels))  # [levels, C]

    def forward(self, level: Tensor) -> Tensor:
        """level [B] in 0..levels-1 -> factors [B, C, 1, 1]."""
        low = level.floor().long().clamp(0, len(self.log_gain) - 2)
        t = (level - low)[:, None]
        log_gain = self.log_gain[low] * (1 - t) + self.log_gain[low + 1] * t
        return log_gain.exp()[:, :, None, None]


class Output(NamedTuple):
    """A training pass."""

    x_hat: Tensor  # [B, 3, H, W], not clamped
    bits: Tensor  # [B], estimated bits of y and z


class IcmNetwork(SliceEntropyModel):
    """The `lite` network.  Pictures are float [B, 3, H, W] in 0..1, H and W multiples of 64."""

    stride, centred = 64, False

    def __init__(self, config: LiteConfig) -> None:
        m, n = config.latent_channels, config.hyper_channels
        super().__init__(
            h_a=lite.hyper_analysis(m, n),
            h_mean_s=lite.hyper_synthesis(m, n),
            h_scale_s=lite.hyper_synthesis(m, n),
            context=lite.Context,
            latent_channels=m,
            hyper_channels=n,
            slices=config.slices,
        )
        self.config = config
        self.levels = len(config.lambdas)
        self.g_a = lite.analysis(config.widths, m, config.depths)
        self.g_s = lite.synthesis(config.widths, m, config.depths)
        log_gain = config.log_gains()
        self.gain = GainUnit(log_gain, m)
        self.inverse_gain = GainUnit(-log_gain, m)

    def lambda_at(self, level: Tensor) -> Tensor:
        """λ of a rate level, log-linear between the configured ones.  [B] -> [B]."""
        return lambda_at(self.config.lambdas, level)

    def step(self, level: float) -> float:
        """Quantisation step: 1, gains do the rest."""
        return 1.0

    def in_picture_steps(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Latents as g_s sees them: without the gain of their rate level."""
        return y_hat * self.inverse_gain(level)

    def analyse(self, x: Tensor, level: Tensor) -> Tensor:
        """Picture to gained latents.  [B, 3, H, W], [B] -> [B, M, H/16, W/16]."""
        return self.g_a(x - 0.5).float() * self.gain(level)

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Quantised gained latents to picture, not clamped.  Inverse of `analyse`."""
        return self.g_s(self.in_picture_steps(y_hat, level)).float() + 0.5

    def forward(self, x: Tensor, level: Tensor, *, bfloat16: bool = False) -> Output:
        """Training pass at one rate level a picture."""
        device = x.device.type
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            y = self.analyse(x, level)
        latents = self.code_latents(y)
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            x_hat = self.synthesise(latents.y_hat, level)
        return Output(x_hat, latents.bits())
