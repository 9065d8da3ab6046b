"""Timed calls of plugins, in batches that fall apart where one picture is at fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import PluginError


@dataclass(frozen=True)
class Timed:
    """One of the results of a batch, with its share of the batch's seconds."""

    value: Any
    seconds: float
    batch: int


def unpack(result: Timed | Exception) -> tuple[Any, float, int]:
    """Return (value, seconds, batch), or raise the error that stands in their place."""
    if isinstance(result, Exception):
        raise result
    return result.value, result.seconds, result.batch


def in_batches(
    work: Callable[[Sequence[Any]], Sequence[Any]],
    inputs: Sequence[Any],
    batch: int,
    device: str,
) -> list[Timed | Exception]:
    """Run ``work`` in batches; where a batch fails, one by one, so that only the guilty fails."""
    results: list[Timed | Exception] = []
    for start in range(0, len(inputs), batch):
        some = inputs[start : start + batch]
        try:
            results += _measured(work, some, device)
        except Exception as error:
            if len(some) == 1:
                results.append(error)
            else:
                results += in_batches(work, some, 1, device)
    return results


def _measured(
    work: Callable[[Sequence[Any]], Sequence[Any]], some: Sequence[Any], device: str
) -> list[Timed]:
    _synchronise(device)
    start = time.perf_counter()
    values = work(some)
    _synchronise(device)
    seconds = (time.perf_counter() - start) / len(some)
    if not isinstance(values, Sequence):
        raise PluginError(f"gave {type(values).__name__}, must be a list of {len(some)}")
    if len(values) != len(some):
        raise PluginError(f"gave {len(values)} results for {len(some)} pictures")
    return [Timed(value, seconds, len(some)) for value in values]


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
