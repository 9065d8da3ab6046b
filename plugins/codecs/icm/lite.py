"""The `lite` family: plain residual convolutions that train on two CPU cores.

    g_a   x [3, H, W] ─ unshuffle 4 ─ conv 48→C1 ─ blocks C1 @1/4 ─ conv↓2 ─ blocks C2 @1/8
          ─ conv↓2 ─ blocks M @1/16 ─► y [M, H/16, W/16]
    g_s   the mirror image; 1×1 convolutions and pixel shuffles go up
    h_a   y ─ conv ─ conv↓2 ─ conv↓2 ─► z [N, H/64, W/64]
    h_s   z ─ up 2 ─ conv ─ up 2 ─ conv ─► means or scales [M, H/16, W/16]

Most work happens at 1/4 and 1/8 of the resolution: a pixel-unshuffle stem costs a sixteenth
of what a strided convolution at full resolution does.
"""

from __future__ import annotations

from torch import Tensor, nn


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, 4 * outputs, kernel=1), nn.PixelShuffle(2))


class ResidualBlock(nn.Module):
    """x + conv(act(conv(x))); starts near the identity so that depth costs no warm-up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.act, self.conv2 = (
            _conv(channels, channels),
            nn.LeakyReLU(0.1),
            _conv(channels, channels),
        )
        nn.init.zeros_(self.conv2.bias)
        self.conv2.weight.data.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.act(self.conv1(x)))


def _blocks(channels: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(depth)))


# How many modules of `analysis` take the picture in, and how many of `synthesis` let it out: both
# work at 1/4 of its size.
STEM, HEAD = 2, 3


def stem(widths: tuple[int, int]) -> nn.Sequential:
    """What `analysis` begins with: picture [B, 3, H, W] -> features [B, C1, H/4, W/4]."""
    return nn.Sequential(nn.PixelUnshuffle(4), _conv(48, widths[0]))


def analysis(
    widths: tuple[int, int], latent_channels: int, depths: tuple[int, int, int]
) -> nn.Sequential:
    """g_a: picture [B, 3, H, W] -> y [B, M, H/16, W/16]."""
    c1, c2 = widths
    return nn.Sequential(
        *stem(widths),
        _blocks(c1, depths[0]),
        _conv(c1, c2, stride=2),
        _blocks(c2, depths[1]),
        _conv(c2, latent_channels, stride=2),
        _blocks(latent_channels, depths[2]),
    )


def synthesis(
    widths: tuple[int, int], latent_channels: int, depths: tuple[int, int, int]
) -> nn.Sequential:
    """g_s: y_hat [B, M, H/16, W/16] -> picture [B, 3, H, W]."""
    c1, c2 = widths
    return nn.Sequential(
        _blocks(latent_channels, depths[2]),
        _up(latent_channels, c2),
        _blocks(c2, depths[1]),
        _up(c2, c1),
        _blocks(c1, depths[0]),
        _conv(c1, 48),
        nn.PixelShuffle(4),
    )


def hyper_analysis(latent_channels: int, hyper_channels: int) -> nn.Sequential:
    """h_a: y [B, M, h, w] -> z [B, N, h/4, w/4]."""
    n = hyper_channels
    return nn.Sequential(
        _conv(latent_channels, n),
        nn.GELU(),
        _conv(n, n, stride=2),
        nn.GELU(),
        _conv(n, n, stride=2),
    )


def hyper_synthesis(latent_channels: int, hyper_channels: int) -> nn.Sequential:
    """h_mean_s or h_scale_s: z_hat [B, N, h/4, w/4] -> [B, M, h, w]."""
    n = hyper_channels
    return nn.Sequential(
        _up(n, n),
        nn.GELU(),
        _conv(n, n),
        nn.GELU(),
        _up(n, n),
        nn.GELU(),
        _conv(n, latent_channels),
    )


class Context(nn.Sequential):
    """Slice context net: 1×1 mixes the support's channels, 3×3 looks at the neighbours."""

    hidden = 96

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            _conv(inputs, self.hidden, kernel=1), nn.GELU(), _conv(self.hidden, outputs)
        )
