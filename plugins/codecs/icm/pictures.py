"""Pictures as networks take and give them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.images import to_uint8


def padded(side: int, stride: int) -> int:
    """The next multiple of `stride`."""
    return -(-side // stride) * stride


def to_input(picture: NDArray[np.uint8], stride: int, device: torch.device) -> Tensor:
    """uint8 [H, W, 3] to float [1, 3, H', W'] in 0..1, its edge repeated up to multiples."""
    height, width = picture.shape[:2]
    pads = ((0, padded(height, stride) - height), (0, padded(width, stride) - width), (0, 0))
    x = torch.from_numpy(np.pad(picture, pads, mode="edge")).to(device)
    return (x.permute(2, 0, 1)[None].float() / 255).contiguous(memory_format=torch.channels_last)


def to_picture(x_hat: Tensor, height: int, width: int) -> NDArray[np.uint8]:
    """Float [1, 3, H', W'] to uint8 [H, W, 3], rounded, cropped at the right and below."""
    picture = x_hat[0].permute(1, 2, 0).cpu().numpy()
    return to_uint8(picture[:height, :width].astype(np.float64) * 255)
