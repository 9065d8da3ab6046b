"""Pictures as networks take and give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.images import to_uint8


@dataclass(frozen=True)
class Frame:
    """A picture's place in the larger one that a network takes.

    Args:
        height, width: of the picture.
        stride: both sides of the larger one are multiples of it.
        centred: the picture lies in the middle and zeros around it, as in the scripts of LIC-TCM
            and SA-ICM; else it lies in the upper left corner and its edge is repeated.
    """

    height: int
    width: int
    stride: int
    centred: bool

    def pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Pixels (above, below), (left, right)."""
        missing = (-self.height % self.stride, -self.width % self.stride)
        before = [n // 2 if self.centred else 0 for n in missing]
        top, left = before
        return (top, missing[0] - top), (left, missing[1] - left)

    def latents(self, down: int = 16) -> tuple[int, int]:
        """Height and width of the latents, a latent for `down` pixels each way."""
        return (
            (self.height + sum(self.pads()[0])) // down,
            (self.width + sum(self.pads()[1])) // down,
        )

    def to_input(self, picture: NDArray[np.uint8], device: torch.device) -> Tensor:
        """uint8 [H, W, 3] to float [1, 3, H', W'] in 0..1."""
        mode = {"mode": "constant"} if self.centred else {"mode": "edge"}
        x = torch.from_numpy(np.pad(picture, (*self.pads(), (0, 0)), **mode)).to(device)
        x = x.permute(2, 0, 1)[None].float() / 255
        return x.contiguous(memory_format=torch.channels_last)

    def cut(self, x_hat: Tensor) -> Tensor:
        """The picture without what was added.  [B, 3, H', W'] -> [B, 3, H, W]."""
        (top, _), (left, _) = self.pads()
        return x_hat[:, :, top : top + self.height, left : left + self.width]

    def squared_error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """Within the picture: mean over channels, sum over pixels.  [B, 3, H', W'] twice -> []."""
        return self.cut(x_hat - x).square().mean(1).sum()

    def to_picture(self, x_hat: Tensor) -> NDArray[np.uint8]:
        """Float [1, 3, H', W'] to uint8 [H, W, 3], rounded."""
        cut = self.cut(x_hat)[0].permute(1, 2, 0)
        return to_uint8(cut.double().cpu().numpy() * 255)
