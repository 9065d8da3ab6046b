"""Training of one recipe on Lightning Fabric: budget, checkpoints, exact resume, logs, curves.

A run's folder holds ``checkpoint.pt``, ``log.csv`` (a row every 50 steps), ``held_out.csv`` and
``rd.png`` (rate and PSNR of the averaged weights on held-out pictures).

Fabric moves things to devices, averages gradients over several of them and writes checkpoints.
Mixed precision is the networks' own: transforms run in bfloat16 where the recipe says so, the
entropy model, whose rates are differences of small numbers, in float32.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError

from .data import PackedCrops
from .devices import make_fabric
from .learner import Batch, Learner
from .methods import make_learner
from .recipe import Recipe

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from numpy.typing import NDArray

CHECKPOINT_S, HELD_OUT_S, LOG_STEPS = 300.0, 1200.0, 50
Report = Callable[[float, int, dict[str, float]], None]
"""Called after every step with the used share of the budget, the step and the figures."""


class Trainer:
    """State of one run.

    Args:
        recipe: what to train.
        data: a packed file, see `data`.
        out: the run's folder; a checkpoint in it is resumed.
        held_out: pictures uint8 [H, W, 3] to measure on.
        fabric: where to run; one CPU or GPU by default.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        out: Path,
        held_out: Sequence[NDArray[np.uint8]] = (),
        fabric: Fabric | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.held_out = recipe, out, held_out
        out.mkdir(parents=True, exist_ok=True)
        self.fabric = fabric or make_fabric()
        self.learner = make_learner(recipe, None if self.checkpoint_path.exists() else out)
        self.learner.setup(self.fabric)
        self.crops = PackedCrops(data, recipe.crop, recipe.batch, recipe.seed, recipe.sources)
        self.step, self.elapsed_s = 0, 0.0
        self._measured_step = -1
        if self.checkpoint_path.exists():
            self.resume()

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

    def decay(self) -> float:
        """Factor of the learning rates: linear warm-up, then a cosine to zero or steps of 0.1."""
        recipe, p = self.recipe, self.progress
        warm = min(1.0, (p + 1e-3) / recipe.warmup) if recipe.warmup else 1.0
        if recipe.schedule == "step":
            return warm * 0.1 ** sum(p >= milestone for milestone in recipe.milestones)
        return warm * 0.5 * (1 + math.cos(math.pi * p))

    def draw_levels(self, rng: np.random.Generator) -> Tensor:
        """One rate level a sample, the lowest ones only after `high_rates_first`.  [B]."""
        top = self.learner.levels - 1
        share = self.recipe.high_rates_first
        low = 0.6 * top * max(0.0, 1 - self.progress / share) if share else 0.0
        levels = rng.uniform(low, top, self.recipe.batch)
        return torch.tensor(levels, dtype=torch.float32, device=self.fabric.device)

    @property
    def batch_number(self) -> int:
        """Which batch this process takes at this step."""
        return self.step * self.fabric.world_size + self.fabric.global_rank

    def batches(self) -> Iterator[Tensor]:
        """The batches from this step on; loaded by other processes where a GPU waits for them."""
        from torch.utils.data import DataLoader

        numbers = range(self.batch_number, 1 << 60, self.fabric.world_size)
        gpu = self.fabric.device.type == "cuda"
        yield from DataLoader(
            self.crops,  # type: ignore[arg-type]
            batch_size=None,
            sampler=numbers,
            num_workers=4 if gpu else 0,
            pin_memory=gpu,
        )

    def train_step(self, crops: Tensor | None = None) -> dict[str, float]:
        """Learn from one batch, uint8 [B, crop, crop, 5]; returns the logged figures."""
        recipe, number = self.recipe, self.batch_number
        if crops is None:
            crops = torch.from_numpy(self.crops[number])
        planes = crops.to(self.fabric.device, non_blocking=True)
        planes = planes.permute(0, 3, 1, 2).float().div_(255)
        x = planes[:, :3].contiguous(memory_format=torch.channels_last)
        level = self.draw_levels(np.random.default_rng([recipe.seed, 1, number]))
        # Noise of the rate estimate is a function of (seed, step) too: exact resume.
        torch.manual_seed((recipe.seed << 32) + number)
        decay = self.decay()
        for optimizer, rate in zip(self.learner.optimizers, self.learner.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * decay
        batch = Batch(x, planes[:, 3:4], planes[:, 4:5], level)
        logged = self.learner.step(self.fabric, batch, self.progress)
        self.step += 1
        self.learner.update_ema(min(recipe.ema, (1 + self.step) / (10 + self.step)))
        figures = {key: float(value.detach()) for key, value in logged.items()}
        return figures | {"lr": recipe.lr * decay}

    def save(self) -> None:
        """Write the checkpoint; a crash leaves the old or the new one whole."""
        state = {
            "network": self.learner.network.state_dict(),
            "ema": self.learner.ema.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.learner.optimizers],
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "config": self.learner.config(),
            "sources": list(self.crops.sources),
            "device": self.device_name(),
            **self.learner.extra_state(),
        }
        partial = self.checkpoint_path.with_suffix(".partial")
        self.fabric.save(partial, state)
        if self.fabric.is_global_zero:
            os.replace(partial, self.checkpoint_path)
        self.fabric.barrier()

    def device_name(self) -> str:
        """What trains, for model cards."""
        count = self.fabric.world_size
        if self.fabric.device.type == "cuda":
            return f"{count} x {torch.cuda.get_device_name(self.fabric.device)}"
        threads = count * self.recipe.threads
        return f"{threads} CPU core{'s' * (threads > 1)} that may have done other work too"

    def resume(self) -> None:
        """Continue where `save` left off.

        Raises:
            WorkbenchError: the checkpoint is damaged, or of another network or recipe.
        """
        try:
            state = self.fabric.load(self.checkpoint_path, weights_only=True)
            self.learner.network.load_state_dict(state["network"])
            self.learner.ema.load_state_dict(state["ema"])
            for optimizer, saved in zip(self.learner.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.learner.load_extra_state(state)
            self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        except (RuntimeError, ValueError, KeyError) as error:
            what = str(error).partition("\n")[0]
            raise WorkbenchError(
                f"{self.checkpoint_path}: does not fit recipe {self.recipe.name!r} ({what}): "
                "train into another folder, or remove it"
            ) from None

    def run(self, report: Report | None = None) -> nn.Module:
        """Train to the end of the budget; returns the averaged network."""
        torch.set_num_threads(self.recipe.threads)
        last_save = last_held_out = time.perf_counter()
        recent: list[dict[str, float]] = []
        batches = self.batches()
        while self.progress < 1:
            start = time.perf_counter()
            figures = self.train_step(next(batches))
            recent.append(figures)
            now = time.perf_counter()
            self._count(now - start)
            if report:
                report(self.progress, self.step, figures)
            if self.step % LOG_STEPS == 0 or self.progress == 1:
                means = {key: float(np.mean([f[key] for f in recent])) for key in figures}
                self.log("log.csv", {"step": self.step, "elapsed_s": self.elapsed_s, **means})
                recent = []
            if self._due(now - last_save, CHECKPOINT_S):
                self.save()
                last_save = now
            if self.held_out and self._due(now - last_held_out, HELD_OUT_S):
                self.measure()
                last_held_out = time.perf_counter()
        self.save()
        if self.held_out and self._measured_step != self.step:
            self.measure()
        return self.learner.ema

    def _count(self, seconds: float) -> None:
        """Add to the used time; all processes believe the first one's clock."""
        self.elapsed_s += float(self.fabric.broadcast(seconds))

    def _due(self, seconds: float, every: float) -> bool:
        return bool(self.fabric.broadcast(seconds > every))

    def measure(self) -> None:
        """Estimated rate and PSNR of the averaged weights on the held-out pictures."""
        start, self._measured_step = time.perf_counter(), self.step
        for level in range(self.learner.levels):
            points = [held_out_point(self.learner, x, level) for x in self._held_out_inputs()]
            bpp, psnr = np.mean(points, axis=0)
            row = {"step": self.step, "elapsed_s": self.elapsed_s, "level": level}
            self.log("held_out.csv", {**row, "rate_bpp": bpp, "psnr_db": psnr})
        if self.fabric.is_global_zero:
            from .curve import draw

            draw(self.out / "held_out.csv", self.out / "rd.png")
        self._count(time.perf_counter() - start)

    def _held_out_inputs(self) -> Iterator[Tensor]:
        for picture in self.held_out:
            stride = self.learner.stride
            height, width = (n // stride * stride for n in picture.shape[:2])
            x = torch.from_numpy(picture[:height, :width].astype(np.float32) / 255)
            yield x.permute(2, 0, 1)[None].to(self.fabric.device)

    def log(self, name: str, row: dict[str, Any]) -> None:
        """Append a row to a CSV file of the run's folder, and to TensorBoard where asked."""
        figures = {key: value for key, value in row.items() if key not in ("step", "level")}
        group = f"level {row['level']}" if "level" in row else "training"
        self.fabric.log_dict({f"{group}/{k}": v for k, v in figures.items()}, row["step"])
        if not self.fabric.is_global_zero:
            return
        path = self.out / name
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(row)
            writer.writerow(f"{value:.6g}" for value in row.values())


@torch.inference_mode()
def held_out_point(learner: Learner, x: Tensor, level: float) -> tuple[float, float]:
    """(estimated bpp, PSNR in dB of the rounded picture) of one picture [1, 3, H, W]."""
    bits, x_hat = learner.point(x, torch.tensor([float(level)], device=x.device))
    error = (x_hat.clamp(0, 1) * 255).round() - x * 255
    mse = float(error.square().mean())
    return float(bits) / (x.shape[2] * x.shape[3]), 10 * math.log10(255**2 / mse)
