"""All that a plugin author imports.

A plugin is a subclass of :class:`Codec`, :class:`Task`, :class:`QualityTask` or
:class:`Dataset`, returned from a hook::

    import workbench

    class Jpeg(workbench.Codec):
        \"\"\"JPEG, libjpeg-turbo, 4:2:0.\"\"\"
        name = "jpeg"
        points = workbench.points("quality", [10, 35, 75], limits=(1, 100))

        def encode(self, image, point): ...
        def decode(self, stream, output): ...

    @workbench.hookimpl
    def workbench_codecs():
        return [Jpeg]

Pictures are numpy arrays, uint8 ``[H, W, 3]``, sRGB, everywhere. This module imports no numpy,
so that listing plugins stays instant; plugins import their heavy libraries inside methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pluggy

from workbench.errors import PluginError
from workbench.points import Point, Points

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from workbench.registry import Registry
    from workbench.training import Segmenter, Trainer
    from workbench.weights import WeightFile

    Picture = NDArray[np.uint8]

Audience = Literal["human", "machine", "any"]
Reference = Literal["dataset", "self"]
"""What tasks are judged on: the dataset's ground truth, or their predictions on the originals."""
Executor = Literal["processes", "ray"]
Payload = bytes | Mapping[str, bytes]
"""What ``encode`` returns and ``decode`` gets: bytes, or bytes a layer for layered codecs."""

hookimpl = pluggy.HookimplMarker("workbench")
hookspec = pluggy.HookspecMarker("workbench")


@dataclass(frozen=True)
class Output:
    """A picture that a receiver can decode: the layers it needs, and whom it is for."""

    needs: tuple[str, ...]
    audience: Audience = "any"


@dataclass(frozen=True)
class Metric:
    """One measured quantity: what axes, tables and BD-rates need to know about it.

    ``pool`` says how a set's pooled value is made from per-picture values: ``mean``, ``mse``
    (a PSNR in dB with peak 255: PSNR of the pixel-weighted mean MSE) or ``set`` (only the whole
    set has a value, as with mAP).
    """

    name: str
    label: str
    description: str
    unit: str = ""
    higher_is_better: bool = True
    limits: tuple[float | None, float | None] = (None, None)
    pool: Literal["mean", "mse", "set"] = "mean"


@dataclass(frozen=True)
class Resources:
    """What a plugin keeps busy while it works: clusters place its cells by it.

    ``gpus`` counts where ``--device`` is a GPU: 0 for what has no use for one, a half lets two
    share one. ``cores`` below ``--threads`` count as that. ``memory_gib`` 0 means that it does not
    matter.
    """

    cores: float = 1
    gpus: float = 1
    memory_gib: float = 0


@cache
def package_version(distribution: str) -> str:
    """The version of an installed distribution; reading its metadata takes milliseconds."""
    return metadata.version(distribution)


class Plugin:
    """What codecs, tasks and datasets have in common."""

    name: ClassVar[str]
    citation: ClassVar[str] = ""
    requires: ClassVar[tuple[str, ...]] = ()
    """Distributions that must be installed; their versions enter every content key."""
    extra: ClassVar[str] = ""
    """The extra of this project that installs them: ``codec-workbench[extra]``."""
    weights: ClassVar[tuple[WeightFile, ...]] = ()
    """Files of trained weights it needs; ``workbench weights pull`` fetches them."""
    resources: ClassVar[Resources] = Resources()
    """What one worker with it needs of a machine."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why this plugin cannot work here, with the cure; None where it can. Imports nothing."""
        return cls.not_installed() or _missing_weights(cls.weights)

    @classmethod
    def not_installed(cls) -> str | None:
        """Which of ``requires`` are missing, with the cure; None where all are there."""
        missing = [name for name in cls.requires if not _installed(name)]
        if not missing:
            return None
        what = f"codec-workbench[{cls.extra}]" if cls.extra else " ".join(missing)
        return f"needs {', '.join(missing)}: pip install {what!r}"

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Versions of the libraries and programs that shape results. They enter the keys."""
        return {name: package_version(name) for name in cls.requires}

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        """Hashes of further files that shape results, such as weights. They enter the keys.

        Of ``weights`` the SHA-256 that is expected: nothing else is ever loaded.
        """
        return {file.name: file.sha256 for file in cls.weights}


def _missing_weights(files: Sequence[WeightFile]) -> str | None:
    if not files:
        return None
    from workbench import weights

    return weights.missing(files)


def _installed(distribution: str) -> bool:
    # find_spec is ten times as fast as reading the metadata of an installed distribution, but
    # import names may differ from distribution names, so the metadata has the last word.
    if util.find_spec(distribution.replace("-", "_")) is not None:
        return True
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


class Codec(Plugin):
    """A codec. A fresh instance, maybe on another machine, must decode from bytes alone.

    Args:
        device: where networks run, ``cpu`` or ``cuda:0``.
        threads: processor threads the codec may use.
    """

    points: ClassVar[Points]
    layers: ClassVar[tuple[str, ...]] = ("main",)
    outputs: ClassVar[Mapping[str, Output]] = MappingProxyType({"image": Output(("main",))})
    batch: ClassVar[int] = 1
    """Most pictures of one size that ``encode_many`` and ``decode_many`` take at once."""
    lossless: ClassVar[bool] = False
    """Decodes to the very picture: run where it is named, or where tasks are their own reference,
    but not by ``all``."""
    by_name_only: ClassVar[bool] = False
    """Run where it is named, but not by ``all``, as variants are that an ablation study needs."""
    family: ClassVar[str] = ""
    """What stands behind the colon of a family's names: ``CODEC`` where ``name:jpeg`` is one.

    A family is no codec: its :meth:`of` makes one of each argument.
    """

    @classmethod
    def of(cls, argument: str, registry: Registry) -> type[Codec]:
        """Make the codec called ``name:argument``; families only. Import nothing heavy.

        The class has an empty ``family``. Where it wraps another codec, its :meth:`fingerprint`
        holds ``provenance.plugin_key`` of that codec, so that content keys cover it.

        Raises:
            PluginError: there is none of this argument; ``registry.codec`` does so for a codec.
        """
        raise PluginError(f"{cls.name}: a family must define of")

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        self.device = device
        self.threads = threads

    def encode(self, image: Picture, point: Point) -> Payload:
        """Encode uint8 ``[H, W, 3]`` sRGB; return bytes, or ``{layer: bytes}`` for layers."""
        raise PluginError(f"{self.name}: a codec must define encode or encode_many")

    def decode(self, stream: Any, output: str) -> Picture:
        """Decode what ``encode`` returned, cut down to the layers that ``output`` needs.

        Returns uint8 ``[H, W, 3]`` of the original's size. Damaged bytes raise.
        """
        raise PluginError(f"{self.name}: a codec must define decode or decode_many")

    def profile(self, image: Picture, point: Point) -> dict[str, str]:
        """What ``workbench show --profile`` tells beside seconds: stages, sizes, operations."""
        return {}

    def encode_many(self, images: Sequence[Picture], point: Point) -> list[Payload]:
        """Encode pictures of one size, at most ``batch``; override where batches are faster."""
        return [self.encode(image, point) for image in images]

    def decode_many(self, streams: Sequence[Any], output: str) -> list[Picture]:
        """Decode streams of pictures of one size; override where batches are faster."""
        return [self.decode(stream, output) for stream in streams]


class Task(Plugin):
    """A machine's view of decoded pictures: predictions a picture, a score a dataset.

    Args:
        device: where networks run.
        threads: processor threads the task may use.
    """

    audience: ClassVar[Audience] = "machine"
    metrics: ClassVar[tuple[Metric, ...]]
    target: ClassVar[str] = ""
    """The kind of ground truth it is judged on: a key of the dataset's targets, e.g. ``boxes``.

    With ``self`` that is always its own predictions on the original pictures, see ``as_target``.
    """
    batch: ClassVar[int] = 8
    """Most pictures of one size that ``predict`` takes at once."""
    predicts_without: ClassVar[tuple[str, ...]] = ()
    """Modules and packages that predictions do not depend on, such as those of metrics.

    Where these change, stored predictions are scored again, and none is made again.
    """

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        self.device = device
        self.threads = threads

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Predictions, one a picture, as plain data: dicts, lists, numbers, strings, arrays."""
        raise PluginError(f"{self.name}: a task must define predict")

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        """Score a whole set: ``{metric name: value}``, None where a value does not exist."""
        raise PluginError(f"{self.name}: a task must define evaluate")

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Score resamples of a set, for intervals; without it a task's scores have none.

        Args:
            predictions, targets: as for :meth:`evaluate`.
            counts: [R, N], how often each of N pictures is in each of R resamples.

        Returns:
            ``{metric name: [R]}``, what :meth:`evaluate` gives where pictures are repeated and
            left out as told; NaN where a value does not exist.
        """
        return {}

    def as_target(self, prediction: Any) -> Any:
        """Turn a prediction on an original picture into ground truth, for ``--reference self``."""
        raise PluginError(f"{self.name}: cannot be its own reference: it defines no as_target")

    def features(self, pictures: Tensor) -> Sequence[Tensor]:
        """What the task's frozen networks see, differentiable: codecs are trained to keep it.

        ``pictures`` are float ``[B, 3, H, W]`` in 0..1; returns feature maps ``[B, ...]``.
        """
        raise PluginError(f"{self.name}: is not differentiable: it defines no features")


class QualityTask(Task):
    """A full-reference measure: a value a picture from the original and the decoded one.

    Sets are scored from the stored per-picture values, by each metric's ``pool``.
    """

    audience: ClassVar[Audience] = "human"
    target: ClassVar[str] = "picture"

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return ``{metric name: value}`` a pair of pictures of one size; inf is allowed."""
        raise PluginError(f"{self.name}: a quality task must define compare")


@dataclass(frozen=True)
class Item:
    """One picture of a dataset, known without decoding it.

    ``sha256`` covers what the picture is made of (a file's bytes); ``path`` is None where the
    dataset makes its pictures itself; ``error`` says why a picture cannot be used.
    """

    name: str
    sha256: str = ""
    width: int = 0
    height: int = 0
    path: str | None = None
    error: str = ""


class Dataset(Plugin):
    """Pictures, and ground truth where there is one.

    A dataset with a ``scheme`` is opened with what follows the colon (``folder:PATH``), others
    by name alone. ``argument`` is what follows the colon; ``root`` is the folder that holds
    downloaded datasets.
    """

    scheme: ClassVar[bool] = False
    licence: ClassVar[str] = ""
    targets: ClassVar[tuple[str, ...]] = ()
    """The kinds of ground truth it has."""

    def __init__(self, argument: str = "", root: str | None = None) -> None:
        self.argument = argument
        self.root = root

    def items(self) -> Sequence[Item]:
        """Every picture, in a stable order; those that cannot be used say so in ``error``."""
        raise PluginError(f"{self.name}: a dataset must define items")

    def load(self, item: Item) -> Picture:
        """Return the picture of an item, uint8 ``[H, W, 3]`` sRGB; files by default."""
        from workbench import images

        if item.path is None:
            raise PluginError(f"{self.name}: a dataset without files must define load")
        return images.read(item.path)

    def fetch(self, progress: Callable[[int, int | None], None] | None = None) -> str:
        """Fetch the dataset's files and return the folder they are in; none by default.

        ``progress`` is called with the bytes that are there and the bytes there will be.
        """
        raise PluginError(f"{self.name}: has nothing to fetch")

    def load_target(self, item: Item, kind: str) -> Any:
        """Return the ground truth of an item, of one of ``targets``."""
        raise PluginError(f"{self.name}: has no ground truth of kind {kind!r}")


class Hooks:
    """The hooks a plugin module may define."""

    @hookspec
    def workbench_codecs(self) -> list[type[Codec]]:
        """Return codec classes. Called when plugins are listed: import nothing heavy."""
        return []

    @hookspec
    def workbench_tasks(self) -> list[type[Task]]:
        """Return task classes. Called when plugins are listed: import nothing heavy."""
        return []

    @hookspec
    def workbench_datasets(self) -> list[type[Dataset]]:
        """Return dataset classes. Called when plugins are listed: import nothing heavy."""
        return []

    @hookspec
    def workbench_segmenters(self) -> list[type[Segmenter]]:
        """Return segmenter classes. Called when plugins are listed: import nothing heavy."""
        return []

    @hookspec
    def workbench_trainers(self) -> list[type[Trainer]]:
        """Return trainer classes. Called when plugins are listed: import nothing heavy."""
        return []
