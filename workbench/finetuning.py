"""Trains a copy of a task's network on coded pictures, and keeps it beside the original.

As in the protocol of SA-ICM: the training pictures are really coded and decoded from their bytes
by a fresh instance; what the network learns from is what it will see. The file that comes out,
``TASK+NAME.safetensors`` in a folder of weights, is a task of its own, called ``TASK+NAME``.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import registry, weights
from workbench.api import Codec, Dataset, Item
from workbench.contract import check_picture, from_stream, to_stream
from workbench.errors import DatasetError, PluginError, WorkbenchError
from workbench.points import Point
from workbench.provenance import digest, plugin_key
from workbench.training import Finetunable

if TYPE_CHECKING:
    from torch import nn

    from workbench.api import Picture

CHECKPOINT = "checkpoint.pt"
LONGEST_NORM = 10.0
CODED, TRAINED = "coding", "training"

Progress = Callable[[str, int, int, float | None], None]
"""Called with the stage, pictures or steps done, those there will be, and the loss."""


@dataclass(frozen=True)
class Options:
    """What to train on what; ``name`` is ``CODEC-POINT`` unless it is given.

    ``output`` is the codec's output to train on, the machine's where there is one. Decoded
    pictures are kept in ``pictures``, by content, so that other runs may share them.
    """

    task: str
    codec: str
    dataset: str
    out: Path
    name: str | None = None
    to: Path | None = None
    output: str | None = None
    pictures: Path | None = None
    steps: int = 1000
    lr: float = 1e-4
    batch: int = 4
    limit: int | None = None
    every: int = 100
    seed: int = 1
    device: str = "cpu"
    threads: int = 1
    data_root: str | None = None
    plugins: Sequence[str] = ()


def finetune(options: Options, progress: Progress | None = None) -> tuple[str, Path]:
    """Train, and return the new task's name and its file. A run that was stopped goes on.

    Raises:
        WorkbenchError: what is asked for does not exist, or ``out`` holds another run.
    """
    report = progress or (lambda stage, done, total, loss: None)
    found = registry.load(options.plugins)
    [kind] = found.select_tasks([options.task])
    if not issubclass(kind, Finetunable):
        able = [n for n, t in found.tasks.items() if issubclass(t, Finetunable) and "+" not in n]
        raise PluginError(f"{kind.name} cannot be finetuned; these can: {', '.join(sorted(able))}")
    codec, point = _point(found, options.codec)
    output = _output(codec, options.output)
    name = options.name or f"{codec.name}-{point.label}".replace(":", "-")
    if set(name) & set(",@+:/\\ \t\n"):
        raise WorkbenchError(f"finetune: name {name!r} must be a word without , @ + : / or spaces")
    data = found.dataset(options.dataset, options.data_root)
    if kind.target not in data.targets:
        have = ", ".join(data.targets) or "none"
        raise WorkbenchError(f"{kind.name} learns from {kind.target!r}; {data.name} has {have}")
    items = [item for item in data.items() if not item.error][: options.limit]
    if not items:
        raise DatasetError(f"{options.dataset}: has no pictures to learn from")
    options.out.mkdir(parents=True, exist_ok=True)
    coded = CodedPictures(codec, point, output, data, options)
    for n, item in enumerate(items):
        coded.make(item)
        report(CODED, n + 1, len(items), None)
    record = {
        "task": kind.name, "codec": codec.name, "point": point.label, "output": output,
        "dataset": options.dataset, "steps": str(options.steps), "lr": f"{options.lr:g}",
        "batch": str(options.batch), "seed": str(options.seed),
        "pictures": digest([coded.path(item).name for item in items]), "base": plugin_key(kind),
    }  # fmt: skip
    task = kind(options.device, options.threads)
    network = _train(task, data, items, coded, options, record, report)
    full = f"{kind.name}+{name}"
    path = (options.to or weights.folders()[0]) / f"{full}{weights.FINETUNED}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    task.write(network, part, record)
    part.replace(path)
    return full, path


class CodedPictures:
    """Pictures of a dataset as a codec's decoder gives them, made once and kept as PNG."""

    def __init__(
        self, codec: type[Codec], point: Point, output: str, data: Dataset, options: Options
    ) -> None:
        self.codec, self.point, self.output, self.data = codec, point, output, data
        self.folder = options.pictures or options.out / "pictures"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = digest(plugin_key(codec), dict(point.params), output)
        self._encoder = codec(options.device, options.threads)
        self._decoder = codec(options.device, options.threads)

    def path(self, item: Item) -> Path:
        """Where a picture is kept: its name covers codec, point, output and the original."""
        return self.folder / f"{digest(self._key, item.sha256)}.png"

    def make(self, item: Item) -> None:
        """Code and decode a picture, unless that was done before."""
        from workbench import images

        path = self.path(item)
        if path.is_file():
            return
        original = self.data.load(item)
        payload = self._encoder.encode_many([original], self.point)[0]
        stream = to_stream(self.codec, self.point, item.width, item.height, payload)
        needed = from_stream(self.codec, stream, self.output)
        picture = self._decoder.decode_many([needed], self.output)[0]
        check_picture(picture, item.width, item.height, self.codec.name)
        part = path.with_name(f"part-{path.name}")
        images.write(part, picture)
        part.replace(path)

    def load(self, item: Item) -> Picture:
        """The decoded picture, uint8 ``[H, W, 3]``."""
        from workbench import images

        return images.read(self.path(item))


def _train(
    task: Finetunable,
    data: Dataset,
    items: Sequence[Item],
    coded: CodedPictures,
    options: Options,
    record: dict[str, str],
    report: Progress,
) -> nn.Module:
    """AdamW with a rate that falls along a cosine; the order of pictures follows from the seed."""
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = task.trainable()
    parameters = [value for value in network.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=1e-4)
    step = _resume(network, optimiser, options, record)
    losses: list[float] = []
    while step < options.steps:
        rate = options.lr * 0.5 * (1 + math.cos(math.pi * step / options.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        # A function of seed and step alone, so that a resumed run sees the same pictures.
        chooser = random.Random(f"{options.seed}/{step}")
        torch.manual_seed((options.seed << 32) + step)
        optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for item in chooser.choices(items, k=options.batch):
            target = data.load_target(item, task.target)
            loss = task.loss(network, coded.load(item), target) / options.batch
            if not bool(torch.isfinite(loss)):
                raise WorkbenchError(
                    f"finetune: the loss of {item.name} is {loss.item()} at step {step}: lower --lr"
                )
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, LONGEST_NORM)
        optimiser.step()
        step += 1
        losses.append(total)
        report(TRAINED, step, options.steps, total)
        if step % options.every == 0 or step == options.steps:
            _log(options.out, step, rate, sum(losses) / len(losses))
            losses = []
            _save(network, optimiser, step, options.out, record)
    return network.eval()


def _save(network: nn.Module, optimiser: Any, step: int, out: Path, record: dict[str, str]) -> None:
    import torch

    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "record": record,
    }
    part = out / f"{CHECKPOINT}.part"
    torch.save(state, part)
    part.replace(out / CHECKPOINT)


def _resume(network: nn.Module, optimiser: Any, options: Options, record: dict[str, str]) -> int:
    """Load the checkpoint of this very run; return the steps done."""
    import torch

    path = options.out / CHECKPOINT
    if not path.is_file():
        return 0
    state = torch.load(path, map_location=options.device, weights_only=True)
    differs = [key for key in record if state["record"].get(key) != record[key]]
    if differs:
        raise WorkbenchError(
            f"{path}: is of another run, whose {', '.join(differs)} differ: give another --out, "
            "or delete it"
        )
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _log(out: Path, step: int, rate: float, loss: float) -> None:
    path = out / "log.csv"
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["step", "lr", "loss"])
        writer.writerow([step, f"{rate:.6g}", f"{loss:.6g}"])


def _point(found: registry.Registry, spec: str) -> tuple[type[Codec], Point]:
    name, _, label = spec.partition("@")
    if not label:
        points = ", ".join(point.label for point in found.codec(name).points)
        raise WorkbenchError(f"finetune: name one point of {name}: {name}@POINT, of {points}")
    chosen = found.select_codecs([spec])
    (codec, [point]) = chosen[0]
    return codec, point


def _output(codec: type[Codec], name: str | None) -> str:
    if name is None:
        fit = {"machine": 0, "any": 1, "human": 2}
        return min(codec.outputs, key=lambda output: fit[codec.outputs[output].audience])
    if name not in codec.outputs:
        raise WorkbenchError(f"{codec.name} has no output {name!r}: {', '.join(codec.outputs)}")
    return name
