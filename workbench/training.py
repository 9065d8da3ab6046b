"""Plugins for training: segmenters mark pictures, trainers run recipes, tasks can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workbench.api import Dataset, Item, Plugin, Task
from workbench.errors import PluginError, WorkbenchError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from workbench.api import Picture


class Segmenter(Plugin):
    """Marks what matters to machines in pictures: masks that codecs are trained with.

    Args:
        alpha: confidence from which on something is marked; None for the segmenter's own default.
            Exact segmenters take none.
        annotations: the file or folder of ground truth it draws on, where it needs one.
        device, threads: where and with how many processor threads networks run.
    """

    kind: ClassVar[Literal["edges", "objects"]] = "edges"
    """Whether its masks mark outlines or the objects themselves."""
    annotated: ClassVar[bool] = False
    """Whether it needs ``annotations``."""
    device_bound: ClassVar[bool] = False
    """Runs a network: one process a device, not one a processor core."""
    exact: ClassVar[bool] = False
    """Has no confidence: there is nothing for alpha to choose from."""
    default_alpha: ClassVar[float | None] = None

    def __init__(
        self,
        alpha: float | None = None,
        annotations: str | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        if self.exact and alpha is not None:
            raise WorkbenchError(f"masks: {self.name} is exact and takes no --alpha")
        self.alpha = self.default_alpha if alpha is None else alpha
        self.annotations = annotations
        self.device, self.threads = device, threads

    def settings(self) -> dict[str, Any]:
        """All that shapes the masks, for their record: thresholds, hashes of weights."""
        return {"alpha": self.alpha, **self.fingerprint()}

    def mask(self, dataset: Dataset, item: Item) -> NDArray[np.uint8]:
        """Mark a picture: uint8 ``[H, W]``, 0..255 as a share of 0..1."""
        raise PluginError(f"{self.name}: a segmenter must define mask")


class Trainer(Plugin):
    """Trains networks from recipes: files that say all of a run but its data."""

    @classmethod
    def recipes(cls) -> Mapping[str, str]:
        """The recipes it comes with: a line about each, by name."""
        raise PluginError(f"{cls.name}: a trainer must define recipes")

    def train(self, recipe: str, job: TrainJob) -> str:
        """Train a recipe given by name or path to the end of its budget; say what came of it."""
        raise PluginError(f"{self.name}: a trainer must define train")


class Finetunable(Task):
    """A task whose network can be trained further, by ``workbench finetune``."""

    @classmethod
    def finetuned(cls, name: str, path: Path) -> type[Finetunable]:
        """Make the task called ``name`` with the network of this file. Import nothing heavy."""
        raise PluginError(f"{cls.name}: a finetunable task must define finetuned")

    def trainable(self) -> nn.Module:
        """A copy of the network to train; normalisation statistics are to stay as they are."""
        raise PluginError(f"{self.name}: a finetunable task must define trainable")

    def loss(self, network: nn.Module, image: Picture, target: Any) -> Tensor:
        """The training loss of one picture, a scalar, given the dataset's ground truth."""
        raise PluginError(f"{self.name}: a finetunable task must define loss")

    def write(self, network: nn.Module, path: Path, record: dict[str, str]) -> None:
        """Write what :meth:`finetuned` reads, with a record of how it came about in its header."""
        raise PluginError(f"{self.name}: a finetunable task must define write")


@dataclass(frozen=True)
class TrainJob:
    """What a recipe leaves open.

    ``data`` are pictures, or a file that the trainer packed of some; ``masks`` are folders that
    ``workbench masks`` wrote; ``held_out`` pictures are measured on as training goes. ``steps`` or
    ``minutes`` replace the recipe's budget. ``report`` is called with the used share of the
    budget, the step and its figures.
    """

    data: Dataset | Path
    out: Path
    masks: Sequence[Path] = ()
    held_out: Sequence[Picture] = ()
    steps: int | None = None
    minutes: float | None = None
    device: str = "auto"
    devices: int = 1
    tensorboard: bool = False
    report: Callable[[float, int, Mapping[str, float]], None] | None = None
