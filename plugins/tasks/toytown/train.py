"""Trains the toytown network on toytown's endless training stream.

    python -m workbench_plugins.tasks.toytown.train --steps 12000 --out runs/toytown
    python -m workbench_plugins.tasks.toytown.train --task detector \
        --start runs/toytown/checkpoint.pt --out runs/toytown-detector

Other processes render scenes into a buffer; the trainer draws batches from it, so that slow
rendering never holds up training: each picture is seen several times, mirrored or not.
Checkpoints hold everything but the buffer; `--resume` goes on from the last one.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench_plugins.tasks.toytown.buffer import Sample, SceneBuffer
from workbench_plugins.tasks.toytown.losses import losses
from workbench_plugins.tasks.toytown.network import (
    DETECTOR_HEADS,
    HEADS,
    PANOPTIC_HEADS,
    THING_CLASSES,
    ToytownNet,
)
from workbench_plugins.tasks.toytown.targets import targets

EMA = 0.998
TASK_HEADS = {"both": tuple(HEADS), "detector": DETECTOR_HEADS, "panoptic": PANOPTIC_HEADS}


def prepare(scene: Sample, mirror: bool, gain: float) -> dict[str, NDArray[Any]]:
    """One training sample; `gain` is a brightness factor."""
    image, semantic, instances, boxes = scene.image, scene.semantic, scene.instances, scene.boxes
    if mirror:
        image, semantic, instances = image[:, ::-1], semantic[:, ::-1], instances[:, ::-1]
        boxes = boxes.copy()
        boxes[:, 0] = image.shape[1] - boxes[:, 0] - boxes[:, 2]
    maps = targets(instances, boxes, scene.classes, THING_CLASSES)
    picture = image.transpose(2, 0, 1).astype(np.float32)
    picture = np.clip(picture * (gain / 255), 0, 1)
    return {**maps, "semantic": semantic.astype(np.int64), "image": picture}


class Trainer:
    """Network, optimiser, averaged weights and step count, saved and loaded together."""

    def __init__(self, lr: float, heads: Sequence[str] = tuple(HEADS)) -> None:
        self.net = ToytownNet(heads).to(memory_format=torch.channels_last)
        self.average = ToytownNet(heads)
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=lr, weight_decay=0.02)
        self.lr, self.step, self.rendered, self.share = lr, 0, 0, 0.0

    def start_from(self, path: Path) -> None:
        """Takes what fits from another checkpoint's averaged weights; the rest stays random."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        own = self.net.state_dict()
        known = {k: v for k, v in state["average"].items() if k in own and v.shape == own[k].shape}
        self.net.load_state_dict(known, strict=False)
        self.average.load_state_dict(self.net.state_dict())
        self.rendered = state["rendered"]

    def save(self, path: Path) -> None:
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "rendered": self.rendered,
            "share": self.share,
        }
        draft = path.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(path)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.rendered = state["step"], state["rendered"]
        self.share = state["share"]

    def update(self, batch: dict[str, torch.Tensor], share: float) -> dict[str, float]:
        """One step, when a `share` (0..1) of the training is over.

        The rate warms up over 200 steps and falls along a cosine to 1 %.
        """
        self.share = share
        rate = (
            self.lr * min(1.0, (self.step + 1) / 200) * (0.505 + 0.495 * math.cos(math.pi * share))
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.net.train()
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            out = self.net(image)
        parts = losses(out, batch)
        total = torch.stack(list(parts.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.optimiser.step()
        self.step += 1
        keep = min(EMA, self.step / (self.step + 20))
        with torch.no_grad():
            fresh = self.net.state_dict()
            for name, value in self.average.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(fresh[name], 1 - keep)
                else:
                    value.copy_(fresh[name])
        return {"loss": float(total.detach()), **{k: float(v.detach()) for k, v in parts.items()}}


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    chooser = random.Random(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"
    trainer = Trainer(args.lr, TASK_HEADS[args.task])
    if args.resume and checkpoint.exists():
        trainer.load(checkpoint)
    elif args.start:
        trainer.start_from(args.start)
    scenes = SceneBuffer(
        trainer.rendered, args.workers, args.buffer, args.warm, args.reuse, args.seed
    )
    first_step, first_share = trainer.step, trainer.share
    started = began = time.perf_counter()
    sums: dict[str, float] = {}
    count = 0
    log = (args.out / "log.jsonl").open("a")
    share = first_share
    while share < 1.0:
        samples = [
            prepare(scene, chooser.random() < 0.5, chooser.uniform(0.8, 1.2))
            for scene in scenes.draw(args.batch)
        ]
        batch = {
            name: torch.from_numpy(np.stack([s[name] for s in samples])) for name in samples[0]
        }
        done = (trainer.step - first_step) / max(args.steps - first_step, 1)
        if args.minutes:
            done = max(done, (time.perf_counter() - started) / (60 * args.minutes))
        share = min(first_share + (1.0 - first_share) * done, 1.0)
        for name, value in trainer.update(batch, share).items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        if trainer.step % args.every == 0 or share >= 1.0:
            trainer.rendered = scenes.rendered
            means = {name: round(value / count, 4) for name, value in sums.items()}
            step_s = (time.perf_counter() - began) / count
            row = {"step": trainer.step, "rendered": trainer.rendered, "step_s": step_s, **means}
            print(json.dumps(row), flush=True)
            log.write(json.dumps(row) + "\n")
            log.flush()
            trainer.save(checkpoint)
            began, sums, count = time.perf_counter(), {}, 0
    scenes.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--task", choices=TASK_HEADS, default="both", help="heads to train")
    parser.add_argument("--start", type=Path, help="checkpoint to take the first weights from")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--minutes", type=float, help="end after this long if steps take longer")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--buffer", type=int, default=3000, help="pictures kept, 0.8 MB each")
    parser.add_argument(
        "--warm", type=int, default=64, help="pictures needed before the first step"
    )
    parser.add_argument("--reuse", type=float, default=4.0, help="times a picture is drawn")
    parser.add_argument("--workers", type=int, default=1, help="rendering processes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
