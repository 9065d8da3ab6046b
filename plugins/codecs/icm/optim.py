"""Muon for convolution kernels: momentum whose matrix is orthogonalised before the step.

Jordan et al. 2024 ("Muon: an optimizer for hidden layers"); the scaling to Adam's step size
is Liu et al. 2025 (arXiv 2502.16982, Eq. 4), so one learning rate serves both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Newton-Schulz coefficients of the Muon release: they push every singular value towards 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalise(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Nearest (semi-)orthogonal matrices, roughly.  [K, rows, columns] -> the same shape."""
    x = matrices.bfloat16()
    if tall := x.shape[1] > x.shape[2]:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(iterations):
        gram = x @ x.transpose(1, 2)
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        x = torch.baddbmm(x, polynomial, x, beta=_A)
    return (x.transpose(1, 2) if tall else x).to(matrices)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised over [outputs, inputs·kh·kw]."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike = defaultdict(list)  # same-shape kernels go through one batched product
            for p in group["params"]:
                if p.grad is not None:
                    alike[tuple(p.shape)].append(p)
            for params in alike.values():
                for p in params:
                    if not self.state[p]:
                        self.state[p]["momentum"] = torch.zeros_like(p)
                gradients = [p.grad for p in params]
                momenta = [self.state[p]["momentum"] for p in params]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                torch._foreach_lerp_(gradients, momenta, group["momentum"])
                updates = [g.flatten(1) for g in gradients]
                rows, columns = updates[0].shape
                # 0.2 · √max(rows, columns) gives Adam's typical root mean square of a step.
                scale = 0.2 * max(rows, columns) ** 0.5
                for p, update in zip(params, orthogonalise(torch.stack(updates)), strict=True):
                    p.add_(update.view_as(p), alpha=-group["lr"] * scale)
