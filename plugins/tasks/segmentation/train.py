"""Trains the small segmenter on any dataset that has ``semantic`` ground truth.

    python -m workbench_plugins.tasks.segmentation.train --dataset camvid:PATH/train \\
        --start plugins/weights/toytown-panoptic.safetensors --out camvid-segmenter.safetensors

Random crops of pictures scaled by 0.75 to 1.5, mirrored, brighter or darker; cross entropy with
rare classes weighted up; AdamW, cosine schedule; the exponential average of the weights is kept.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench import registry
from workbench_plugins.metrics.segmentation import Segmentation
from workbench_plugins.tasks.segmentation.small import build, class_scores, save

IGNORE = 255
EMA = 0.99
WARM_UP_STEPS = 50
WEIGHT_POWER = -0.4
"""A class's weight is its share of the pixels to this power: rare ones count more."""


class Samples:
    """The pictures and class maps of a dataset, in memory, and random crops of them."""

    def __init__(self, spec: str) -> None:
        dataset = registry.load().dataset(spec)
        items = [item for item in dataset.items() if not item.error]
        self.pictures = [torch.from_numpy(dataset.load(item).copy()) for item in items]
        targets = [dataset.load_target(item, "semantic") for item in items]
        self.classes: list[str] = targets[0]["classes"]
        self.maps = [
            torch.from_numpy(np.where(t["map"] == t["void"], IGNORE, t["map"])) for t in targets
        ]

    def shares(self) -> Tensor:
        """Share of the judged pixels that each class has, [n]."""
        n = len(self.classes)
        counts = sum(torch.bincount(m.flatten().int(), minlength=256)[:n] for m in self.maps)
        assert isinstance(counts, Tensor)
        return counts.double() / counts.sum()

    def batch(
        self, n: int, width: int, height: int, chance: random.Random
    ) -> tuple[Tensor, Tensor]:
        """RGB in 0..1 [n, 3, height, width] and classes [n, height, width]."""
        crops = [self._crop(width, height, chance) for _ in range(n)]
        return torch.stack([p for p, _ in crops]), torch.stack([m for _, m in crops])

    def _crop(self, width: int, height: int, chance: random.Random) -> tuple[Tensor, Tensor]:
        number = chance.randrange(len(self.pictures))
        picture, labels = self.pictures[number], self.maps[number]
        scale = 2 ** chance.uniform(math.log2(0.75), math.log2(1.5))
        # The piece of the original that becomes the crop; smaller pictures are padded with void.
        h = min(round(height / scale), labels.shape[0])
        w = min(round(width / scale), labels.shape[1])
        y, x = chance.randint(0, labels.shape[0] - h), chance.randint(0, labels.shape[1] - w)
        size = (min(round(h * scale), height), min(round(w * scale), width))
        piece = picture[y : y + h, x : x + w].permute(2, 0, 1)[None].float() / 255
        piece = functional.interpolate(piece, size, mode="bilinear", antialias=True)[0]
        ids = labels[y : y + h, x : x + w][None, None].float()
        ids = functional.interpolate(ids, size, mode="nearest-exact")[0, 0].long()
        if chance.random() < 0.5:
            piece, ids = piece.flip(-1), ids.flip(-1)
        piece = (piece * chance.uniform(0.7, 1.3)).clamp(0, 1)
        pad = (0, width - size[1], 0, height - size[0])
        return functional.pad(piece, pad), functional.pad(ids, pad, value=IGNORE)

    def score(self, network: torch.nn.Module) -> dict[str, Any]:
        """The network's mIoU and IoU a class on whole pictures."""
        predictions, targets = [], []
        with torch.inference_mode():
            for picture, labels in zip(self.pictures, self.maps, strict=True):
                x = picture.permute(2, 0, 1)[None] / 255
                found = class_scores(network, x).argmax(1)[0].to(torch.uint8).numpy()
                predictions.append({"map": found})
                targets.append({"map": labels.numpy(), "classes": self.classes, "void": IGNORE})
        judged = Segmentation(predictions, targets, self.classes)
        return {**judged.scores(), "iou": judged.iou()}


def start(network: torch.nn.Module, path: Path, classes: list[str]) -> int:
    """Take over what fits from a safetensors file; return how many tensors did.

    The head is taken over only from a file with the same table of classes.
    """
    from safetensors import safe_open

    own = network.state_dict()
    with safe_open(path, framework="pt") as file:
        same = json.loads((file.metadata() or {}).get("classes", "null")) == classes
        found = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    fitting = {
        name: value
        for name, value in found.items()
        if name in own
        and own[name].shape == value.shape
        and (same or not name.startswith("heads."))
    }
    network.load_state_dict(fitting, strict=False)
    return len(fitting)


def train(args: argparse.Namespace) -> None:
    """Train as the arguments say, and write the averaged network."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    chance = random.Random(args.seed)
    samples = Samples(args.dataset)
    network, average = build(len(samples.classes)), build(len(samples.classes))
    if args.start:
        taken = start(network, args.start, samples.classes)
        print(json.dumps({"started_from": str(args.start), "tensors": taken}), flush=True)
    average.load_state_dict(network.state_dict())
    network.to(memory_format=torch.channels_last).train()
    weight = samples.shares().clamp(min=1e-4).pow(WEIGHT_POWER)
    weight = (weight / weight.mean()).float()
    optimiser = torch.optim.AdamW(network.parameters(), lr=args.lr, weight_decay=0.02)
    began, losses = time.perf_counter(), []
    for step in range(args.steps):
        rate = min((step + 1) / WARM_UP_STEPS, 0.5 + 0.5 * math.cos(math.pi * step / args.steps))
        for group in optimiser.param_groups:
            group["lr"] = args.lr * rate
        pictures, labels = samples.batch(args.batch, *args.crop, chance)
        with torch.autocast("cpu", torch.bfloat16):
            scores = class_scores(network, pictures)
        loss = functional.cross_entropy(scores.float(), labels, weight, ignore_index=IGNORE)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        follow(average, network, min(EMA, step / (step + 10)))
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            row = {
                "step": step + 1, "loss": round(sum(losses) / len(losses), 4),
                "step_s": round((time.perf_counter() - began) / len(losses), 3),
            }  # fmt: skip
            print(json.dumps(row), flush=True)
            save(args.out, average.state_dict(), samples.classes)
            began, losses = time.perf_counter(), []
    if args.judge:
        print(json.dumps(Samples(args.judge).score(average.eval())), flush=True)


@torch.no_grad()
def follow(average: torch.nn.Module, network: torch.nn.Module, keep: float) -> None:
    """Move the average towards the network."""
    fresh = network.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(fresh[name], 1 - keep)
        else:
            value.copy_(fresh[name])


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, help="to train on, for instance camvid:PATH")
    parser.add_argument("--judge", help="dataset to score at the end")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .safetensors")
    parser.add_argument("--start", type=Path, help="safetensors file to start from, where it fits")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, nargs=2, default=(320, 256), help="width and height")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=50, help="steps between reports and files")
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
