"""What a learned codec spends its time on, for ``workbench show codecs NAME --profile``.

transform       g_a and g_s
entropy model   hyperprior and context nets, float64 where decoders repeat it
coder           symbols to rANS words and back
rest            padding, checksums, conversion to and from pictures
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .latents import LatentCoder


def profile(
    encode: Callable[[], Any],
    decode: Callable[[Any], Any],
    networks: Sequence[nn.Module],
    coders: Sequence[LatentCoder],
    n_pixels: int,
) -> dict[str, str]:
    """Time one encoding and one decoding, after one of each to warm up.

    Args:
        encode: makes a stream of a picture.
        decode: makes the picture of it.
        networks: their parameters are counted, and their g_a and g_s are the transform.
        coders: the latent coders of these networks.
        n_pixels: of the picture.
    """
    stream = encode()
    decode(stream)
    n_parameters = sum(p.numel() for network in networks for p in network.parameters())
    told = {"parameters": f"{n_parameters / 1e6:.2f} M"}
    with torch.no_grad():
        for what, work in (("encode", encode), ("decode", lambda: decode(stream))):
            # Separately, since counting costs time.
            with FlopCounterMode(display=False) as counter:
                work()
            kmac = counter.get_total_flops() / 2 / 1000 / n_pixels
            with _stopwatch(networks, coders) as seconds:
                start = time.perf_counter()
                work()
                total_s = time.perf_counter() - start
            coder_s = seconds["coder"]
            entropy_s = seconds["latents"] - coder_s
            rest_s = total_s - seconds["transform"] - seconds["latents"]
            told[what] = (
                f"{total_s:.3f} s: transform {seconds['transform']:.3f}, entropy model "
                f"{entropy_s:.3f}, coder {coder_s:.3f}, rest {rest_s:.3f}; {kmac:.1f} kMAC/pixel"
            )
    return told


@contextmanager
def _stopwatch(
    networks: Sequence[nn.Module], coders: Sequence[LatentCoder]
) -> Iterator[dict[str, float]]:
    """Collect the seconds of calls of transforms, latent coders and their tables."""
    seconds = {"transform": 0.0, "latents": 0.0, "coder": 0.0}
    with ExitStack() as stack:
        for network in networks:
            for transform in (network.g_a, network.g_s):
                stack.enter_context(_timed(transform, "forward", "transform", seconds))
        for coder in coders:
            for method in ("encode", "decode"):
                stack.enter_context(_timed(coder, method, "latents", seconds))
            for tables in coder.tables:
                for method in ("push", "pop"):
                    stack.enter_context(_timed(tables, method, "coder", seconds))
        yield seconds


@contextmanager
def _timed(owner: Any, method: str, key: str, seconds: dict[str, float]) -> Iterator[None]:
    original = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = original(*args, **kwargs)
        seconds[key] += time.perf_counter() - start
        return result

    setattr(owner, method, timed)
    try:
        yield
    finally:
        delattr(owner, method)
