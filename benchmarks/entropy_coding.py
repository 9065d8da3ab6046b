"""Encoding and decoding by our coders against CompressAI's, the same weights on the same cores.

    python benchmarks/entropy_coding.py --dataset kodak

For each network: processor seconds of a whole picture, bytes to picture included, by CompressAI's
``compress`` and ``decompress`` and by ours, and the ratio; the same for what lies between latents
and bytes alone. Runs alternate, and the medians of several are told, since a machine is seldom
idle.

``mbt2018-mean`` is CompressAI's own class, of the released sizes of low rates, and random weights:
neither coder's time depends on the values. It is scaled so that symbols stay inside of
CompressAI's tables, as trained ones do. The slice network is `lic-human`, as shipped; CompressAI
has no such network, so its counterpart here does what LIC-TCM's ``compress`` does with
CompressAI's coder: float32, a list of symbols and indexes a slice, one rANS string for all.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import dataset_argument, tell

from workbench import registry
from workbench_plugins.codecs.compressai_zoo.coders import ArrayCoder, compressai_zoo
from workbench_plugins.codecs.icm.coder import PictureCoder
from workbench_plugins.codecs.icm.pictures import Frame
from workbench_plugins.codecs.icm.plugin import LicHuman
from workbench_plugins.codecs.icm.weights import load_weights

WIDTH, HEIGHT = 768, 512
LEVEL = 3.0
Coded = tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any], int]]


class ListCoder:
    """The slice network with CompressAI's coder, the way LIC-TCM's release uses it."""

    def __init__(self, network: Any) -> None:
        self.network = network
        network.entropy_bottleneck.update(force=True)
        network.gaussian_conditional.update_scale_table(_scale_table(), force=True)
        conditional = network.gaussian_conditional
        self._tables = (
            conditional.quantized_cdf.tolist(),
            conditional.cdf_length.reshape(-1).int().tolist(),
            conditional.offset.reshape(-1).int().tolist(),
        )

    def encode(self, y: torch.Tensor) -> tuple[bytes, list[bytes], torch.Size]:
        from compressai.ans import BufferedRansEncoder

        network = self.network
        z = network.h_a(y)
        z_strings = network.entropy_bottleneck.compress(z)
        walk = _Walk(network, network.entropy_bottleneck.decompress(z_strings, z.shape[-2:]))
        symbols: list[int] = []
        indexes: list[int] = []
        for y_slice in y.chunk(network.slices, 1):
            mu, index = walk.parameters()
            quantised = network.gaussian_conditional.quantize(y_slice, "symbols", mu)
            symbols.extend(quantised.reshape(-1).tolist())
            indexes.extend(index.reshape(-1).tolist())
            walk.add(quantised + mu)
        encoder = BufferedRansEncoder()
        encoder.encode_with_indexes(symbols, indexes, *self._tables)
        return encoder.flush(), z_strings, z.shape[-2:]

    def decode(self, coded: tuple[bytes, list[bytes], torch.Size]) -> torch.Tensor:
        from compressai.ans import RansDecoder

        string, z_strings, shape = coded
        network = self.network
        walk = _Walk(network, network.entropy_bottleneck.decompress(z_strings, shape))
        decoder = RansDecoder()
        decoder.set_stream(string)
        for _ in range(network.slices):
            mu, index = walk.parameters()
            values = decoder.decode_stream(index.reshape(-1).tolist(), *self._tables)
            walk.add(torch.tensor(values, dtype=torch.float32).reshape(mu.shape) + mu)
        return torch.cat(walk.known, 1)


class _Walk:
    def __init__(self, network: Any, z_hat: torch.Tensor) -> None:
        self.network, self.known = network, []
        self.means, self.scales = network.hyper_parameters(z_hat)

    def parameters(self) -> tuple[torch.Tensor, torch.Tensor]:
        index = len(self.known)
        self.support, mu, sigma = self.network.slice_parameters(
            index, self.means, self.scales, self.known
        )
        return mu, self.network.gaussian_conditional.build_indexes(sigma)

    def add(self, y_hat: torch.Tensor) -> None:
        self.known.append(self.network.refine(len(self.known), self.support, y_hat))


def _scale_table() -> torch.Tensor:
    from workbench_plugins.codecs.icm.entropy import scale_table

    return scale_table().float()


def slice_network(picture: np.ndarray) -> dict[str, tuple[Coded, Coded]]:
    """(CompressAI's way, ours) of whole pictures, and between latents and bytes."""
    level = torch.tensor([LEVEL])
    theirs = load_weights(LicHuman.weights_path())[0].eval().requires_grad_(False)
    lists = ListCoder(theirs)
    ours = PictureCoder(*load_weights(LicHuman.weights_path()))
    # Their pictures are contiguous tensors, as torchvision's ToTensor makes them.
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous() / 255
    y = theirs.analyse(x, level)

    def their_picture(coded: Any) -> torch.Tensor:
        return theirs.synthesise(lists.decode(coded), level).clamp(0, 1)

    return {
        "picture": (
            (lambda: lists.encode(theirs.analyse(x, level)), their_picture, _lists_bytes),
            (lambda: ours.compress(picture, LEVEL), ours.decompress, len),
        ),
        "latents": (
            (lambda: lists.encode(y), lists.decode, _lists_bytes),
            (
                lambda: ours.latents.encode(y),
                lambda coded: ours.latents.decode(coded.payload, tuple(y.shape[2:])),
                lambda coded: len(coded.payload),
            ),
        ),
    }


def _lists_bytes(coded: tuple[bytes, list[bytes], torch.Size]) -> int:
    return len(coded[0]) + len(coded[1][0])


def mean_scale_hyperprior(picture: np.ndarray) -> dict[str, tuple[Coded, Coded]]:
    """The same of ``mbt2018-mean``."""
    image, _, _ = compressai_zoo()
    torch.manual_seed(0)

    def network() -> Any:
        torch.manual_seed(0)
        made = image.model_architectures["mbt2018-mean"](128, 192).eval().requires_grad_(False)
        y = made.g_a(x)
        made.g_a[-1].weight.mul_(2 / y.std())
        made.h_s[-1].bias[: made.M].add_(2)  # σ of about 2, as y has
        made.update()
        return made

    x = Frame(HEIGHT, WIDTH, 64, centred=False).to_input(picture, torch.device("cpu")).contiguous()
    theirs, ours = network(), ArrayCoder(network())
    return {
        "picture": (
            (
                lambda: theirs.compress(x),
                lambda coded: theirs.decompress(**coded)["x_hat"],
                lambda coded: sum(len(strings[0]) for strings in coded["strings"]),
            ),
            (
                lambda: ours.compress(x),
                lambda payload: ours.decompress(payload, HEIGHT, WIDTH).clamp(0, 1),
                len,
            ),
        )
    }


def measured(coded: Coded) -> tuple[float, float, int]:
    """(encode_s, decode_s, n_bytes), processor seconds."""
    encode, decode, n_bytes = coded
    start = time.process_time()
    data = encode()
    middle = time.process_time()
    decode(data)
    return middle - start, time.process_time() - middle, n_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    dataset = registry.load().dataset(args.dataset, args.data_root)
    pictures = (dataset.load(item) for item in dataset.items())
    picture = next(p for p in pictures if p.shape[0] >= HEIGHT and p.shape[1] >= WIDTH)
    picture = np.ascontiguousarray(picture[:HEIGHT, :WIDTH])
    with torch.inference_mode():
        for name, cases in (
            ("mbt2018-mean", mean_scale_hyperprior(picture)),
            ("lic-human", slice_network(picture)),
        ):
            for part, (theirs, ours) in cases.items():
                runs = [(measured(theirs), measured(ours)) for _ in range(args.repeat + 1)][1:]
                t, o = (
                    [statistics.median(v) for v in zip(*who, strict=True)]
                    for who in zip(*runs, strict=True)
                )
                tell("entropy_coding", network=name, part=part, threads=args.threads,
                     compressai_encode_s=t[0], compressai_decode_s=t[1],
                     ours_encode_s=o[0], ours_decode_s=o[1],
                     ratio=(t[0] + t[1]) / (o[0] + o[1]),
                     compressai_bytes=t[2], ours_bytes=o[2])  # fmt: skip


if __name__ == "__main__":
    main()
