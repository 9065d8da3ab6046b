"""Networks in float64, as fast as a processor allows.

PyTorch's convolutions in float64 copy every pixel's neighbourhood before they multiply.  Where a
3×3 convolution has fewer outputs than inputs, the other order moves less:

    x [C, H+2, W+2] ─► one matrix product ─► nine partial results [9, D, H+2, W+2]
                                                    │ shifted by their tap, added
                                                    ▼
                                              y [D, H, W]
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ShiftedConv(nn.Module):
    """A 3×3 convolution of stride 1 that pads with zeros.  [B, C, H, W] -> [B, D, H, W]."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        taps = conv.weight.detach().permute(2, 3, 0, 1)  # [3, 3, D, C]
        self.register_buffer("taps", taps.reshape(-1, conv.in_channels).contiguous())
        self.register_buffer("bias", conv.bias.detach()[:, None, None])
        self.outputs = conv.out_channels

    @staticmethod
    def suits(module: nn.Module) -> bool:
        """Whether it is such a convolution, and gains."""
        return (
            isinstance(module, nn.Conv2d)
            and (module.kernel_size, module.stride, module.padding) == ((3, 3), (1, 1), (1, 1))
            and (module.groups, module.dilation, module.padding_mode) == (1, (1, 1), "zeros")
            and module.bias is not None
            and module.out_channels < module.in_channels
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        products = self.taps @ F.pad(x, (1, 1, 1, 1)).flatten(2)
        products = products.view(batch, 3, 3, self.outputs, height + 2, width + 2)
        y = self.bias.repeat(batch, 1, height, width)
        for dy in range(3):
            for dx in range(3):
                y += products[:, dy, dx, :, dy : dy + height, dx : dx + width]
        return y


def in_float64(module: nn.Module) -> nn.Module:
    """A frozen float64 copy for evaluation."""
    made = copy.deepcopy(module).to(torch.float64, memory_format=torch.contiguous_format)
    made = made.eval().requires_grad_(False)
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            if ShiftedConv.suits(child):
                setattr(parent, name, ShiftedConv(child))
    return made
