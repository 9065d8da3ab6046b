"""Cuts a checkpoint into the two shipped networks, measures them and writes their model cards.

python -m workbench_plugins.tasks.toytown.export runs/toytown/checkpoint.pt
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import torch

from workbench_datasets.toytown.dataset import Toytown
from workbench_datasets.toytown.scene import VERSION
from workbench_plugins.tasks.toytown import model
from workbench_plugins.tasks.toytown.network import DETECTOR_HEADS, PANOPTIC_HEADS, ToytownNet
from workbench_plugins.tasks.toytown.plugin import ToytownDetector, ToytownPanoptic

CARD = """# {name}

{what}

{parameters:.2f} M parameters, cut out of one network (`plugins/tasks/toytown/network.py`) that
was trained with the heads of both toytown tasks.

| | |
|---|---|
| file | `{name}.safetensors`, {size_mb:.2f} MB |
| sha256 | `{sha256}` |
| heads | {heads} |
| trained on | toytown's endless split `train`, version {version}; scenes 0 to about {rendered} |
| steps | {steps}, batch 8 of 512x320, mirrored and brightened at random |
| started from | random weights |
| weights | exponential average, kernels float16, the rest float32 |
| licence | Apache-2.0; the training pictures are CC0 |
| speed | {speed_ms:.0f} ms a picture on one core, decoding of the heads included |

It has seen no photograph: use it for toytown only.

## Clean pictures, toytown `val`, 64 scenes

| metric | value |
|---|---|
{rows}
"""


def export(
    task: type[ToytownDetector] | type[ToytownPanoptic], heads: tuple[str, ...], checkpoint: Path
) -> dict[str, float | None]:
    """Writes one network's file and card; returns its scores on the clean `val`."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    path = task.weights_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path, state["average"], heads)
    judge, data = task(), Toytown()
    items = data.items()
    images = [data.load(item) for item in items]
    judge.predict(images[:1])
    began = time.process_time()
    predictions = [found for image in images for found in judge.predict([image])]
    speed_ms = (time.process_time() - began) / len(images) * 1e3
    scores = judge.evaluate(predictions, [data.load_target(item, task.target) for item in items])
    content = path.read_bytes()
    card = CARD.format(
        name=task.name,
        what=(task.__doc__ or "").strip().splitlines()[0],
        parameters=sum(p.numel() for p in ToytownNet(heads).parameters()) / 1e6,
        size_mb=len(content) / 1e6,
        sha256=hashlib.sha256(content).hexdigest(),
        heads=", ".join(heads),
        version=VERSION,
        rendered=state["rendered"],
        steps=state["step"],
        speed_ms=speed_ms,
        rows="\n".join(
            f"| {m.label.removeprefix(task.name).strip()} | {scores[m.name]:.3f} |"
            for m in task.metrics
            if scores[m.name] is not None
        ),
    )
    path.with_suffix(".md").write_text(card)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for task, heads in ((ToytownDetector, DETECTOR_HEADS), (ToytownPanoptic, PANOPTIC_HEADS)):
        scores = export(task, heads, args.checkpoint)
        print(task.name, {name: value and round(value, 4) for name, value in scores.items()})


if __name__ == "__main__":
    main()
