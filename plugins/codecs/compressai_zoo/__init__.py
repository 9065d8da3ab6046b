"""CompressAI's zoo of learned codecs: ``compressai:mbt2018-mean`` and its kin.

The stream, little-endian::

    4        CRC-32 of all that follows
    2        start of the weights' SHA-256
    1        quality
    1..3     width in pixels, unsigned LEB128
    1..3     height in pixels, unsigned LEB128
    rest     the payload: see `coders`

Pictures are padded to multiples of 64 pixels by repeating their edge, and cropped.
"""

from __future__ import annotations

import inspect
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import workbench
from workbench import weights
from workbench.errors import StreamError
from workbench.weights import WeightFile
from workbench_plugins.codecs.compressai_zoo import checkpoints
from workbench_plugins.codecs.ffmpeg.obu import leb128, to_leb128

if TYPE_CHECKING:
    from workbench.api import Picture
    from workbench_plugins.codecs.compressai_zoo.coders import Coder

STRIDE = 64
CRC_BYTES = 4


class ZooCodec(workbench.Codec):
    """A network of CompressAI's zoo, trained for MSE.

    Weights: the released files (``workbench weights pull CODEC``), or checkpoints of one's own,
    see `checkpoints`. It counts as available where the weights of any quality are here; at
    another quality it raises an error that says what is missing.
    """

    requires = ("torch", "compressai", "constriction", "scipy")
    extra = "learned"
    architecture: ClassVar[str]
    arrays: ClassVar[bool]
    """Coded by `ArrayCoder`; by `OwnCoder` where False."""

    @classmethod
    def unavailable(cls) -> str | None:
        reason = cls.not_installed()
        if reason or any(cls._own(q) or weights.find(cls._file(q)) for q in cls._qualities()):
            return reason
        return (
            f"needs weights: workbench weights pull {cls.name}, or put your own into "
            f"{checkpoints.own_name(cls.architecture, cls._number(1))}"
        )

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        found = super().fingerprint()
        for quality in cls._qualities():
            if path := cls._own(quality):
                found[cls._file(quality).name] = weights.sha256(path)
        return found

    @classmethod
    def _qualities(cls) -> range:
        return range(1, len(cls.points) + 1)

    @classmethod
    def _number(cls, quality: int) -> int:
        """The quality that a file is for; 0 where it is for all."""
        return 0 if checkpoints.RELEASES[cls.architecture].variable else quality

    @classmethod
    def _file(cls, quality: int) -> WeightFile:
        return cls.weights[max(cls._number(quality) - 1, 0)]

    @classmethod
    def _own(cls, quality: int) -> Path | None:
        return checkpoints.own(cls.architecture, cls._number(quality))

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        super().__init__(device, threads)
        self._loaded: dict[int, tuple[Coder, bytes]] = {}

    def _coder(self, quality: int) -> tuple[Coder, bytes]:
        """(coder, start of the weights' hash) of a quality; loaded once."""
        import torch

        from workbench_plugins.codecs.compressai_zoo import coders

        torch.set_num_threads(self.threads if self.arrays else 1)
        if quality not in self._loaded:
            number = self._number(quality)
            network, weights_id = checkpoints.load(self.architecture, number, self._file(quality))
            network = network.to(self.device)
            if self.arrays:
                coder: Coder = coders.ArrayCoder(network)
            elif number:
                coder = coders.OwnCoder(network)
            else:
                coder = coders.variable(network, quality - 1)
            self._loaded[quality] = coder, weights_id
        return self._loaded[quality]

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import numpy as np
        import torch

        height, width = image.shape[:2]
        pads = ((0, _padded(height) - height), (0, _padded(width) - width), (0, 0))
        coder, weights_id = self._coder(point.quality)
        padded = torch.from_numpy(np.pad(image, pads, mode="edge")).to(self.device)
        with torch.inference_mode():
            payload = coder.compress(padded.permute(2, 0, 1)[None].float() / 255)
        size = to_leb128(width) + to_leb128(height)
        body = weights_id + bytes([point.quality]) + size + payload
        return zlib.crc32(body).to_bytes(CRC_BYTES, "little") + body

    def decode(self, stream: bytes, output: str) -> Picture:
        import torch

        from workbench import images

        body = stream[CRC_BYTES:]
        if len(body) < 5 or zlib.crc32(body) != int.from_bytes(stream[:CRC_BYTES], "little"):
            raise StreamError(f"{self.name}: the stream is cut or damaged: its checksum differs")
        quality = body[2]
        width, position = leb128(body, 3)
        height, position = leb128(body, position)
        if quality not in self._qualities() or not 0 < width * height <= images.MAX_PIXELS:
            raise StreamError(f"{self.name}: the stream says quality {quality}, {width}x{height}")
        coder, weights_id = self._coder(quality)
        if body[:2] != weights_id:
            raise StreamError(
                f"{self.name}: the stream was made with weights {body[:2].hex()}…, here are "
                f"{weights_id.hex()}… for quality {quality}: decode with the same ones"
            )
        with torch.inference_mode():
            x_hat = coder.decompress(body[position:], _padded(height), _padded(width))
        picture = x_hat[0, :, :height, :width].permute(1, 2, 0).double().cpu().numpy()
        return images.to_uint8(picture * 255)


def _padded(side: int) -> int:
    return -(-side // STRIDE) * STRIDE


_BALLE = "Ballé, Minnen, Singh, Hwang, Johnston, ICLR 2018, arXiv 1802.01436"
_MINNEN = "Minnen, Ballé, Toderici, NeurIPS 2018, arXiv 1809.02736"
_CHENG = "Cheng, Sun, Takeuchi, Katto, CVPR 2020, arXiv 2001.01568"
_KAMISLI = "Kamisli, Racapé, Choi, DCC 2024, arXiv 2402.18930"

# Architecture: whether coded as arrays, what it is, the paper.
_ZOO = {
    "bmshj2018-factorized": (True, "Factorized prior.", _BALLE),
    "bmshj2018-hyperprior": (True, "Scale hyperprior.", _BALLE),
    "mbt2018-mean": (True, "Hyperprior of means and scales.", _MINNEN),
    "mbt2018": (False, "Hyperprior and autoregression; slow.", _MINNEN),
    "cheng2020-anchor": (False, "Residual blocks and autoregression; slow.", _CHENG),
    "cheng2020-attn": (False, "As cheng2020-anchor, with attention; slow.", _CHENG),
    "bmshj2018-hyperprior-vbr": (False, "Scale hyperprior, variable rate.", _KAMISLI),
    "mbt2018-mean-vbr": (False, "Hyperprior of means and scales, variable rate.", _KAMISLI),
    "mbt2018-vbr": (False, "Hyperprior and autoregression, variable rate; slow.", _KAMISLI),
}


def _make(architecture: str) -> type[ZooCodec]:
    arrays, about, citation = _ZOO[architecture]
    release = checkpoints.RELEASES[architecture]
    made = {
        "__module__": __name__,
        "__doc__": f"{about} {inspect.cleandoc(ZooCodec.__doc__ or '')}",
        "name": f"compressai:{architecture}",
        "citation": f"{citation}; CompressAI, arXiv 2011.03029",
        "architecture": architecture,
        "arrays": arrays,
        "weights": release.files(),
        "points": workbench.points("quality", range(1, release.qualities + 1)),
    }
    return cast("type[ZooCodec]", type("ZooCodec", (ZooCodec,), made))


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [_make(architecture) for architecture in _ZOO]
