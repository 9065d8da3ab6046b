"""Rate-distortion training of one recipe: checkpoints, exact resume, CSV log, held-out curve."""

from __future__ import annotations

import copy
import csv
import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError

from .data import PackedCrops
from .network import IcmNetwork
from .optim import Muon
from .recipe import Recipe

CHECKPOINT_S, HELD_OUT_S, LOG_STEPS = 300.0, 1200.0, 50


class Trainer:
    """State of one run.  `data` is a packed file, `out` a folder, `held_out` pictures or none."""

    def __init__(
        self, recipe: Recipe, data: Path, out: Path, held_out: list[Path] | None = None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.held_out = recipe, out, held_out or []
        out.mkdir(parents=True, exist_ok=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = IcmNetwork(recipe.network).to(self.device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.crops = PackedCrops(data, recipe.crop, recipe.batch, recipe.seed, list(recipe.sources))
        self.distortion = recipe.objective.distortion()
        self.optimizers = _optimizers(self.network, recipe)
        self.step, self.elapsed_s = 0, 0.0
        if self.checkpoint_path.exists():
            self.resume()
        elif recipe.start_from:
            self.warm_start(out / recipe.start_from)

    @property
    def checkpoint_path(self) -> Path:
        return self.out / "checkpoint.pt"

    @property
    def progress(self) -> float:
        """Used share of the budget, 0..1."""
        if self.recipe.steps is not None:
            return min(1.0, self.step / self.recipe.steps)
        assert self.recipe.minutes is not None
        return min(1.0, self.elapsed_s / 60 / self.recipe.minutes)

    def learning_rate(self) -> float:
        """Linear warm-up, then cosine to zero over the budget."""
        recipe, p = self.recipe, self.progress
        return recipe.lr * min(1.0, (p + 1e-3) / recipe.warmup) * 0.5 * (1 + math.cos(math.pi * p))

    def draw_levels(self, rng: np.random.Generator) -> Tensor:
        """One rate level a sample, the lowest ones only after `high_rates_first`.  [B]."""
        top = len(self.recipe.network.lambdas) - 1
        share = self.recipe.high_rates_first
        low = 0.6 * top * max(0.0, 1 - self.progress / share) if share else 0.0
        return torch.tensor(
            rng.uniform(low, top, self.recipe.batch), dtype=torch.float32, device=self.device
        )

    def train_step(self) -> dict[str, float]:
        """One batch; returns the logged figures."""
        recipe = self.recipe
        batch = torch.from_numpy(self.crops.batch_at(self.step)).to(self.device)
        batch = batch.permute(0, 3, 1, 2).float().div_(255)
        x = batch[:, :3].contiguous(memory_format=torch.channels_last)
        level = self.draw_levels(np.random.default_rng([recipe.seed, 1, self.step]))
        lambdas = self.network.lambda_at(level)
        # Noise of the rate estimate is a function of (seed, step) too: exact resume.
        torch.manual_seed((recipe.seed << 32) + self.step)
        output = self.network(x, level, bfloat16=recipe.bfloat16)
        bpp = output.bits / (recipe.crop**2)
        distortion = 255**2 * self.distortion(x, output.x_hat, batch[:, 3:4], batch[:, 4:5])
        # Rates and λ·D grow about as λ^0.4: equal say for every rate level.
        weight = (lambdas / self.recipe.network.lambdas[-1]) ** -0.4
        loss = (weight * (bpp + lambdas * distortion)).mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(_main_parameters(self.network), recipe.clip)
        lr = self.learning_rate()
        finite = bool(torch.isfinite(norm))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            if finite:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.network.entropy_bottleneck.loss().backward()
        self.quantile_step()
        self.step += 1
        self.update_ema()
        logged = {"loss": loss, "bpp": bpp.mean(), "mse": distortion.mean(), "norm": norm}
        return {key: float(value.detach()) for key, value in logged.items()} | {"lr": lr}

    def quantile_step(self) -> None:
        """Plain sign descent keeps the medians and tails of z up to date."""
        quantiles = self.network.entropy_bottleneck.quantiles
        assert quantiles.grad is not None
        quantiles.data.sub_(1e-2 * max(0.1, 1 - self.progress) * quantiles.grad.sign())
        quantiles.grad = None

    @torch.no_grad()
    def update_ema(self) -> None:
        """Averages the weights; a short memory at first."""
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        averaged = self.ema.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                averaged[name].lerp_(value, 1 - decay)

    def save(self) -> None:
        """Write the checkpoint; a crash leaves the old or the new one whole."""
        state = {
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "config": self.recipe.network.to_dict(),
        }
        partial = self.checkpoint_path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint_path)

    def resume(self) -> None:
        """Continue where `save` left off."""
        state = torch.load(self.checkpoint_path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def warm_start(self, path: Path) -> None:
        """Start from another run's averaged weights."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["ema"])
        self.ema.load_state_dict(state["ema"])

    def run(self) -> IcmNetwork:
        """Train to the end of the budget; returns the averaged network."""
        torch.set_num_threads(self.recipe.threads)
        last_save = last_held_out = time.perf_counter()
        sums: dict[str, float] = {}
        while self.progress < 1:
            start = time.perf_counter()
            for key, value in self.train_step().items():
                sums[key] = sums.get(key, 0.0) + value / LOG_STEPS
            now = time.perf_counter()
            self.elapsed_s += now - start
            if self.step % LOG_STEPS == 0:
                self.log("log.csv", {"step": self.step, "elapsed_s": self.elapsed_s, **sums})
                sums = {}
            if now - last_save > CHECKPOINT_S:
                self.save()
                last_save = now
            if self.held_out and now - last_held_out > HELD_OUT_S:
                self.measure()
                last_held_out = time.perf_counter()
        self.save()
        if self.held_out:
            self.measure()
        return self.ema

    def measure(self) -> None:
        """Estimated rate and PSNR of the averaged weights on the held-out pictures."""
        start = time.perf_counter()
        for level in range(len(self.recipe.network.lambdas)):
            points = [
                held_out_point(self.ema, picture, level)
                for picture in _pictures(self.held_out, self.device)
            ]
            bpp, psnr = np.mean(points, axis=0)
            self.log(
                "held_out.csv",
                {
                    "step": self.step,
                    "elapsed_s": self.elapsed_s,
                    "level": level,
                    "rate_bpp": bpp,
                    "psnr_db": psnr,
                },
            )
        self.elapsed_s += time.perf_counter() - start

    def log(self, name: str, row: dict[str, float]) -> None:
        """Append a row to a CSV file of the run's folder."""
        path = self.out / name
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(row)
            writer.writerow(f"{value:.6g}" for value in row.values())


def train(
    recipe: Recipe, data: Path, out: Path, *, held_out: list[Path] | None = None, **overrides: Any
) -> IcmNetwork:
    """Train `recipe` on the packed file `data`; `overrides` replace recipe fields."""
    return Trainer(replace(recipe, **overrides), data, out, held_out).run()


@torch.inference_mode()
def held_out_point(network: IcmNetwork, x: Tensor, level: float) -> tuple[float, float]:
    """(estimated bpp, PSNR in dB of the rounded picture) of one picture [1, 3, H, W]."""
    output = network(x, torch.tensor([float(level)], device=x.device))
    pixels = x.shape[2] * x.shape[3]
    error = (output.x_hat.clamp(0, 1) * 255).round() - x * 255
    return float(output.bits) / pixels, 10 * math.log10(255**2 / float(error.square().mean()))


def _pictures(paths: list[Path], device: torch.device) -> Iterator[Tensor]:
    from PIL import Image

    for path in paths:
        with Image.open(path) as image:
            array = np.asarray(image.convert("RGB"), np.float32) / 255
        height, width = (n // IcmNetwork.stride * IcmNetwork.stride for n in array.shape[:2])
        yield torch.from_numpy(array[:height, :width]).permute(2, 0, 1)[None].to(device)


def _main_parameters(network: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in network.named_parameters() if not name.endswith("quantiles")]


def _optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    parameters = _main_parameters(network)
    if recipe.optimizer == "adamw":
        return [torch.optim.AdamW(parameters, recipe.lr, weight_decay=0.0)]
    if recipe.optimizer != "muon":
        raise WorkbenchError(f"optimizer {recipe.optimizer!r} is unknown: use muon or adamw")
    kernels = [p for p in parameters if p.ndim == 4]
    rest = [p for p in parameters if p.ndim != 4]
    return [Muon(kernels, recipe.lr), torch.optim.AdamW(rest, recipe.lr, weight_decay=0.0)]
