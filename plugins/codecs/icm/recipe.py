"""Training recipes: YAML files whose keys are the fields below."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

from .network import LiteConfig
from .objectives import Objective


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    name: str
    objective: Objective = field(default_factory=Objective)
    network: LiteConfig = field(default_factory=LiteConfig)
    sources: tuple[str, ...] = ("bsds500", "coco", "camvid")
    # The budget is wall-clock minutes or steps; the learning rate follows its used share.
    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    crop: int = 128
    lr: float = 1e-3
    warmup: float = 0.01  # share of the budget
    optimizer: str = "muon"  # muon (kernels; AdamW for the rest) or adamw
    clip: float = 1.0
    ema: float = 0.999
    # Until this share of the budget only rates from a falling threshold upwards are drawn:
    # a network that starts at high rates learns its transforms sooner.
    high_rates_first: float = 0.15
    bfloat16: bool = True
    seed: int = 0
    threads: int = 2
    start_from: str | None = None  # checkpoint or weights of another run, relative to `out`

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise WorkbenchError(
                f"recipe {self.name!r}: give either minutes or steps as the budget"
            )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; an unknown key is an error that lists the known ones."""
    import yaml

    values: dict[str, Any] = yaml.safe_load(path.read_text())
    known = {f.name for f in fields(Recipe)}
    if unknown := set(values) - known:
        raise WorkbenchError(f"{path.name}: unknown keys {sorted(unknown)}; known: {sorted(known)}")
    if "objective" in values:
        values["objective"] = Objective(**values["objective"])
    if "network" in values:
        values["network"] = LiteConfig.from_dict(values["network"])
    if "sources" in values:
        values["sources"] = tuple(values["sources"])
    return Recipe(**values)
