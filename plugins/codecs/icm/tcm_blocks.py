"""The building blocks of LIC-TCM (Liu, Sun, Katto, CVPR 2023, arXiv 2303.14978).

    ConvTransBlock   x ─ conv1_1 ─┬─ first half ── residual convolutions ──┬─ conv1_2 ─ + x
                                  └─ other half ── windowed attention ─────┘
    SWAtten          x ─ in_conv ─┬─ conv_a ─────────────────────────────× ─ + ─ out_conv
                                  └─ two attention blocks ─ conv_b ─ σ ──┘

Parameter names are those of the release, so that its state dicts fit.  Attention works through
the windows in groups: what a whole picture's windows need at once is gigabytes.
"""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

with warnings.catch_warnings():
    # CompressAI scripts a function on import, which newer versions of torch advise against.
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.layers import AttentionBlock, ResidualBlock

# Numbers in the attention matrices of one group of windows: 64 MiB as float32.
GROUP_ELEMENTS = 1 << 24


class WindowAttention(nn.Module):
    """Multi-head attention inside windows of w × w, with a learned bias for every offset.

    ``shifted``: the windows are moved by w/2 down and right and go round the picture's edges;
    what meets there but lies apart in the picture does not attend to one another.
    """

    def __init__(self, channels: int, head_channels: int, window: int, shifted: bool) -> None:
        super().__init__()
        self.window, self.shifted, self.heads = window, shifted, channels // head_channels
        self.embedding_layer = nn.Linear(channels, 3 * channels)
        offsets = 2 * window - 1
        self.relative_position_params = nn.Parameter(torch.zeros(self.heads, offsets, offsets))
        nn.init.trunc_normal_(self.relative_position_params, std=0.02)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, C], H and W multiples of the window, to the same."""
        batch, height, width, channels = x.shape
        w, half = self.window, self.window // 2
        if self.shifted:
            x = x.roll((-half, -half), (1, 2))
        rows, columns = height // w, width // w
        # [B * rows * columns, w * w, C]
        windows = x.reshape(batch, rows, w, columns, w, channels).transpose(2, 3)
        windows = windows.reshape(-1, w * w, channels)
        bias = self._bias()
        apart = self._apart(rows, columns).repeat(batch, 1, 1) if self.shifted else None
        group = max(1, GROUP_ELEMENTS // (self.heads * w**4))
        attended = [
            self._attend(part, bias, None if apart is None else apart[n * group :][: len(part)])
            for n, part in enumerate(windows.split(group))
        ]
        windows = torch.cat(attended).reshape(batch, rows, columns, w, w, channels)
        x = windows.transpose(2, 3).reshape(batch, height, width, channels)
        return x.roll((half, half), (1, 2)) if self.shifted else x

    def _attend(self, windows: Tensor, bias: Tensor, apart: Tensor | None) -> Tensor:
        """[n, w * w, C] to the same; ``apart`` [n, w * w, w * w] bool."""
        n, size, channels = windows.shape
        qkv = self.embedding_layer(windows).reshape(n, size, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [n, heads, w * w, C / heads] each
        mask = bias[None] if apart is None else bias.masked_fill(apart[:, None], -torch.inf)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(n, -1, -1, -1))
        return self.linear(out.transpose(1, 2).reshape(n, size, channels))

    def _bias(self) -> Tensor:
        """[heads, w * w, w * w], by the offset from key to query."""
        position = torch.arange(self.window, device=self.relative_position_params.device)
        y, x = torch.meshgrid(position, position, indexing="ij")
        y, x = y.flatten(), x.flatten()
        dy, dx = (p[:, None] - p[None] + self.window - 1 for p in (y, x))
        return self.relative_position_params[:, dy, dx]

    def _apart(self, rows: int, columns: int) -> Tensor:
        """[rows * columns, w * w, w * w], True where query and key were not neighbours."""
        device, w = self.relative_position_params.device, self.window
        # In the last row and column of windows, the second half has come round.
        side = torch.arange(w, device=device) >= w - w // 2
        row = torch.zeros(rows, w, dtype=torch.bool, device=device)
        column = torch.zeros(columns, w, dtype=torch.bool, device=device)
        row[-1], column[-1] = side, side
        shape = (rows, columns, w, w)
        down = row[:, None, :, None].expand(shape).reshape(-1, w * w)
        right = column[None, :, None, :].expand(shape).reshape(-1, w * w)
        return (down[:, :, None] != down[:, None]) | (right[:, :, None] != right[:, None])


class TransBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)).  [B, H, W, C]."""

    def __init__(self, channels: int, head_channels: int, window: int, shifted: bool) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(channels)
        self.msa = WindowAttention(channels, head_channels, window, shifted)
        self.ln2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.msa(self.ln1(x))
        rows = max(1, GROUP_ELEMENTS // (4 * x.shape[2] * x.shape[3]))
        return torch.cat([part + self.mlp(self.ln2(part)) for part in x.split(rows, dim=1)], dim=1)


class ConvTransBlock(nn.Module):
    """Half of the channels through convolutions, half through attention.  [B, 2C, H, W]."""

    def __init__(self, channels: int, head_channels: int, window: int, shifted: bool) -> None:
        super().__init__()
        self.trans_block = TransBlock(channels, head_channels, window, shifted)
        self.conv1_1 = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.conv1_2 = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.conv_block = ResidualBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        conv, trans = self.conv1_1(x).chunk(2, dim=1)
        conv = self.conv_block(conv) + conv
        trans = self.trans_block(trans.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.conv1_2(torch.cat([conv, trans], dim=1))


class SwinBlock(nn.Module):
    """Attention inside windows, then inside shifted ones.  [B, C, H, W]."""

    def __init__(self, channels: int, head_channels: int, window: int) -> None:
        super().__init__()
        self.block_1 = TransBlock(channels, head_channels, window, shifted=False)
        self.block_2 = TransBlock(channels, head_channels, window, shifted=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.block_1(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class SWAtten(AttentionBlock):
    """CompressAI's attention block around a `SwinBlock`.  [B, C, H, W]."""

    def __init__(self, channels: int, inner: int, head_channels: int, window: int) -> None:
        super().__init__(inner)
        self.non_local_block = SwinBlock(inner, head_channels, window)
        self.in_conv = nn.Conv2d(channels, inner, 1)
        self.out_conv = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        gate = torch.sigmoid(self.conv_b(self.non_local_block(x)))
        return self.out_conv(self.conv_a(x) * gate + x)
