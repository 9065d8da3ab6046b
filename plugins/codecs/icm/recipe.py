"""Training recipes: YAML files whose keys are the fields below."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import WorkbenchError, did_you_mean

from .fusion import FusionConfig
from .network import LiteConfig
from .objectives import Objective

FOLDER = Path(__file__).parent / "recipes"
T = TypeVar("T")


@dataclass(frozen=True)
class GanSettings:
    """The `gan` section: finetuning a second decoder (Le et al., ICIP 2022).

    Discriminator and weights are not published; the patches' numbers and sides are.
    """

    base: str = "taskloss-icm"  # the shipped codec whose encoder and streams stay as they are
    layers: int = 5  # how many of the decoder's layers are updated, from the latents on
    patches: tuple[int, int] = (1, 5)  # fewest and most of a picture
    sides: tuple[int, int] = (32, 128)  # smallest and largest, pixels
    mse: float = 650.0  # 0.65 at 30 dB, beside the ln 2 of an undecided discriminator
    adversarial: float = 0.1
    discriminator_lr: float = 1.0  # times the decoder's
    width: int = 32  # channels of the discriminator's first layer; pix2pix: 64


@dataclass(frozen=True)
class FusionSettings:
    """The `fusion` section: an additional model over a frozen base (arXiv 2405.09152)."""

    base: str = "sa-icm"  # the shipped codec whose streams are the base layer
    m: int = FusionConfig.m
    condition_on_base: bool = FusionConfig.condition_on_base
    residual: bool = FusionConfig.residual
    transforms_see_base: bool = FusionConfig.transforms_see_base

    def config(self, network: LiteConfig) -> FusionConfig:
        """The additional model's dimensions."""
        return FusionConfig(
            self.m, self.condition_on_base, self.residual, self.transforms_see_base, network
        )


@dataclass(frozen=True)
class TcmSettings:
    """The `tcm` section: LIC-TCM's network at one rate, instead of `network`."""

    n: int = 128  # N of the paper; its release has 64, 96 and 128
    rate_lambda: float = 0.05


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    name: str
    about: str = ""
    objective: Objective = field(default_factory=Objective)
    network: LiteConfig = field(default_factory=LiteConfig)
    fusion: FusionSettings | None = None
    gan: GanSettings | None = None
    tcm: TcmSettings | None = None
    sources: tuple[str, ...] | None = None  # of the packed pictures; all by default
    # The budget is wall-clock minutes or steps; the learning rate follows its used share.
    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    crop: int = 128
    lr: float = 1e-3
    schedule: str = "cosine"  # cosine, or step: a tenth from each of `milestones` on
    milestones: tuple[float, ...] = (0.9, 0.96)  # shares of the budget
    warmup: float = 0.01  # share of the budget
    optimizer: str = "muon"  # muon (kernels; AdamW for the rest), adamw or adam
    clip: float = 1.0
    ema: float = 0.999
    # Until this share of the budget only rates from a falling threshold upwards are drawn:
    # a network that starts at high rates learns its transforms sooner.
    high_rates_first: float = 0.15
    bfloat16: bool = True
    seed: int = 0
    threads: int = 2
    # A shipped codec, or a checkpoint (.pt) of another run, relative to the run's folder.
    start_from: str | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise WorkbenchError(
                f"recipe {self.name!r}: give either minutes or steps as the budget"
            )
        _one_of(self, "optimizer", ("muon", "adamw", "adam"))
        _one_of(self, "schedule", ("cosine", "step"))


def _one_of(recipe: Recipe, key: str, known: tuple[str, ...]) -> None:
    if getattr(recipe, key) not in known:
        raise WorkbenchError(
            f"recipe {recipe.name!r}: {key} {getattr(recipe, key)!r} is not {', '.join(known)}"
        )


def named() -> dict[str, Path]:
    """The recipes that come with the workbench, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe given by name or by path.

    Raises:
        WorkbenchError: there is none.
    """
    known = named()
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise WorkbenchError(f"no recipe {name!r}.{did_you_mean(name, known)}")
    if not path.is_file():
        raise WorkbenchError(f"{path}: no such recipe")
    return path


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; an unknown key is an error that lists the known ones."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise WorkbenchError(f"{path}: cannot be read as YAML ({error})") from None
    if not isinstance(values, dict):
        raise WorkbenchError(f"{path}: a recipe is a list of keys and values, at least name")
    if "network" in values:
        values["network"] = _section(path, LiteConfig, values["network"])
    if "objective" in values:
        values["objective"] = _section(path, Objective, values["objective"])
    if "fusion" in values:
        values["fusion"] = _section(path, FusionSettings, values["fusion"])
    if "tcm" in values:
        values["tcm"] = _section(path, TcmSettings, values["tcm"])
    if "gan" in values:
        values["gan"] = _section(path, GanSettings, values["gan"])
    return _section(path, Recipe, values)


def _section(path: Path, kind: type[T], values: dict[str, Any]) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(values) - known:
        raise WorkbenchError(f"{path.name}: unknown keys {sorted(unknown)}; known: {sorted(known)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
