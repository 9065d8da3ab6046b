"""Cuts the shipped networks out of checkpoints, measures them and writes their model cards.

    python -m workbench_plugins.tasks.toytown.export runs/toytown/checkpoint.pt
    python -m workbench_plugins.tasks.toytown.export runs/toytown-detector/checkpoint.pt \\
        --task detector --started-from "toytown-panoptic's backbone"
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path

import torch

from workbench_datasets.toytown.dataset import Toytown
from workbench_datasets.toytown.scene import VERSION
from workbench_plugins.tasks.toytown import model
from workbench_plugins.tasks.toytown.network import DETECTOR_HEADS, PANOPTIC_HEADS, ToytownNet
from workbench_plugins.tasks.toytown.plugin import ToytownDetector, ToytownPanoptic
from workbench_plugins.tasks.toytown.train import TASK_HEADS

CARD = """# {name}

{what}

{parameters:.2f} M parameters (`plugins/tasks/toytown/network.py`).

| | |
|---|---|
| file | `{name}.safetensors`, {size_mb:.2f} MB |
| sha256 | `{sha256}` |
| heads | {heads} |
| trained on | toytown's endless split `train`, version {version}; scenes 0 to about {rendered} |
| command | `python -m workbench_plugins.tasks.toytown.train {options}` |
| steps | {steps}, batch 8 of 512x320, mirrored and brightened at random |
| training time | {hours:.1f} h on one core that did other work too |
| started from | {started_from} |
| weights | exponential average, kernels float16, the rest float32 |
| licence | Apache-2.0; the training pictures are CC0 |
| speed | {speed_ms:.0f} ms a picture on one core, decoding of the heads included |

It has seen no photograph: use it for toytown only.{note}

## Clean pictures, toytown `val`, 64 scenes

| metric | value |
|---|---|
{rows}
"""


def export(
    task: type[ToytownDetector] | type[ToytownPanoptic],
    heads: tuple[str, ...],
    checkpoint: Path,
    options: str,
    started_from: str,
    note: str,
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
        options=options,
        steps=state["step"],
        hours=hours(checkpoint.with_name("log.jsonl")),
        started_from=started_from,
        note=f" {note}" if note else "",
        speed_ms=speed_ms,
        rows="\n".join(
            f"| {m.label.removeprefix(task.name).strip()} | {scores[m.name]:.3f} |"
            for m in task.metrics
            if scores[m.name] is not None
        ),
    )
    path.with_suffix(".md").write_text(card)
    return scores


def hours(log: Path) -> float:
    """Training time that the log of a run adds up to."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [0, *(row["step"] for row in rows)]
    return (
        sum((b - a) * row["step_s"] for a, b, row in zip(steps[:-1], steps[1:], rows, strict=True))
        / 3600
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="log.jsonl lies beside it")
    parser.add_argument("--task", choices=TASK_HEADS, default="both", help="networks to write")
    parser.add_argument("--started-from", default="random weights", help="said on the card")
    parser.add_argument("--options", help="of the training command; default: --task TASK")
    parser.add_argument("--note", default="", help="a sentence for the card")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for task, heads in ((ToytownDetector, DETECTOR_HEADS), (ToytownPanoptic, PANOPTIC_HEADS)):
        if args.task != "both" and heads != TASK_HEADS[args.task]:
            continue
        options = args.options or f"--task {args.task}"
        scores = export(task, heads, args.checkpoint, options, args.started_from, args.note)
        print(task.name, {name: value and round(value, 4) for name, value in scores.items()})


if __name__ == "__main__":
    main()
