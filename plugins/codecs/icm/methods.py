"""Which method a recipe asks for, and what it starts from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from workbench.errors import WeightsError

from .finetune import GanFinetuning
from .fusion import FusionNetwork
from .gan import weights_path
from .learner import Learner, RateDistortion
from .network import IcmNetwork
from .recipe import Recipe
from .tcm import TcmConfig
from .tcm_training import TrainableTcm
from .weights import FORMAT, FUSION_FORMAT, load_tensors, load_weights, read


def make_learner(recipe: Recipe, out: Path | None) -> Learner:
    """The method that a recipe asks for, warm-started where it says so.

    Without `out`, the run's folder, nothing is started from: a checkpoint will be resumed.

    Raises:
        WeightsError: the weights to start from are missing or of another network.
    """
    if recipe.gan:
        return GanFinetuning(recipe, recipe.gan)
    start = _start(recipe.start_from, out) if recipe.start_from and out else None
    if recipe.fusion:
        base, _ = load_weights(weights_path(recipe.fusion.base))
        config = recipe.fusion.config(recipe.network)
        fusion = FusionNetwork(base, config)
        if start:
            fusion.additional.warm_start(start)
        return RateDistortion(recipe, fusion, recipe.network.lambdas, config.to_dict())
    if recipe.tcm:
        tcm = TrainableTcm(TcmConfig(recipe.tcm.n), recipe.tcm.rate_lambda)
        if start:
            load_tensors(tcm, start, str(recipe.start_from))
        return RateDistortion(recipe, tcm, tcm.lambdas, tcm.dimensions())
    network = IcmNetwork(recipe.network)
    if start:
        load_tensors(network, start, str(recipe.start_from))
    return RateDistortion(recipe, network, recipe.network.lambdas, recipe.network.to_dict())


def _start(name: str, out: Path) -> dict[str, Tensor]:
    """The weights of a shipped codec, or the averaged ones of another run's checkpoint."""
    if not name.endswith(".pt"):
        return read(weights_path(name), FORMAT, FUSION_FORMAT)[0]
    path = out / name
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["ema"]
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: cannot start from it ({error}): train that recipe first"
        ) from None
    return state
