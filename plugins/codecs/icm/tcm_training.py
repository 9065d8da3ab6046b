"""The training pass of the `tcm` network, at the one rate that each of its checkpoints has."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from .network import Output
from .tcm import TcmConfig, TcmNetwork


class TrainableTcm(TcmNetwork):
    """`tcm` with the forward pass of training; the state dict's names stay the release's."""

    def __init__(self, config: TcmConfig, rate_lambda: float) -> None:
        super().__init__(config)
        self.lambdas = (rate_lambda,)

    def lambda_at(self, level: Tensor) -> Tensor:
        """λ, the same for every picture.  [B] -> [B]."""
        return torch.full_like(level, self.lambdas[0])

    def dimensions(self) -> dict[str, object]:
        """For checkpoints."""
        return {"family": "tcm", **asdict(self.config), "lambda": self.lambdas[0]}

    def forward(self, x: Tensor, level: Tensor, *, bfloat16: bool = False) -> Output:
        """Pictures [B, 3, H, W] in 0..1, H and W multiples of 128; `level` is of no effect."""
        # torch's CPU kernels corrupt memory in this network's backward pass in channels-last.
        x = x.contiguous()
        autocast = torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16)
        with autocast:
            y = self.analyse(x, level)
        latents = self.code_latents(y.float())
        with autocast:
            x_hat = self.synthesise(latents.y_hat, level)
        return Output(x_hat.float(), latents.bits())
