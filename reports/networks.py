"""What the networks of learned codecs cost: parameters, and multiplications a pixel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from workbench.api import Codec
from workbench.contract import from_stream, to_stream
from workbench.measure import describe

SIDE = 256  # a multiple of every stride in use, so that no padding is counted
Json = dict[str, Any]


def measure(codecs: Iterable[type[Codec]]) -> dict[str, Json]:
    """Return by codec ``parameters``, ``encode_kmac_per_pixel``, ``decode_kmac_per_pixel``.

    The last is by output. Only codecs that require torch are measured, and those with one inside:
    a picture of 256 × 256 pixels is coded and decoded at the middle point, while torch's own
    counter adds up the operations of convolutions, matrix products and attention (one
    multiplication with its addition is two of them). What runs outside torch, such as entropy
    coding, is not counted. A codec that cannot be run has an ``error``.
    """
    return {codec.name: _measured(codec) for codec in codecs if _has_network(codec)}


def _has_network(kind: type[Codec]) -> bool:
    inner = (v for v in vars(kind).values() if isinstance(v, type) and issubclass(v, Codec))
    return "torch" in kind.requires or any(map(_has_network, inner))


def _measured(kind: type[Codec]) -> Json:
    if reason := kind.unavailable():
        return {"error": reason}
    from torch.utils.flop_counter import FlopCounterMode

    rng = np.random.default_rng(0)
    # Smooth and noisy parts, as natural pictures have.
    ramp = np.linspace(0, 200, SIDE)[:, None, None] + np.zeros((SIDE, SIDE, 3))
    picture = (ramp + rng.integers(0, 40, ramp.shape)).astype(np.uint8)
    point = kind.points[len(kind.points) // 2]
    try:
        encoder, decoder = kind(), kind()
        with FlopCounterMode(display=False) as encoding:
            payload = encoder.encode_many([picture], point)[0]
        stream = to_stream(kind, point, SIDE, SIDE, payload)
        decode_kmac: dict[str, float] = {}
        for output in kind.outputs:
            with FlopCounterMode(display=False) as decoding:
                decoder.decode_many([from_stream(kind, stream, output)], output)
            decode_kmac[output] = decoding.get_total_flops() / 2e3 / SIDE**2
    except Exception as error:
        return {"error": describe(error)}
    return {
        "parameters": _parameters(encoder),
        "point": point.label,
        "encode_kmac_per_pixel": encoding.get_total_flops() / 2e3 / SIDE**2,
        "decode_kmac_per_pixel": decode_kmac,
    }


def _parameters(codec: Codec) -> int:
    """Count the parameters of the networks that a codec's object holds, each once.

    Beside others, those in float64 are not counted: entropy coders keep such copies of what must
    come out the same on every machine.
    """
    import torch

    found = {id(p): p for module in _modules(codec, set()) for p in module.parameters()}.values()
    trained = [p for p in found if p.dtype != torch.float64]
    return sum(p.numel() for p in trained or found)


def _modules(value: Any, seen: set[int]) -> Iterator[Any]:
    from torch import nn

    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _modules(inner, seen)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _modules(inner, seen)
    elif type(value).__module__.partition(".")[0] == "workbench_plugins" or isinstance(
        value, Codec
    ):
        yield from _modules(vars(value) if hasattr(value, "__dict__") else {}, seen)
