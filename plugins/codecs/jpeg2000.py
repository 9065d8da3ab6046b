"""JPEG 2000 through OpenJPEG, and High-Throughput JPEG 2000 through OpenJPH."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import workbench
from workbench_plugins.codecs import _guard

if TYPE_CHECKING:
    from workbench.api import Picture

# Sides that OpenJPEG's and OpenJPH's signed 32-bit arithmetic can hold.
LONGEST = (1 << 31) - 1


class Jpeg2000(workbench.Codec):
    """JPEG 2000: 9/7 wavelet, ICT colour transform, one tile, one layer, a bare codestream.

    The points are target rates in bits a pixel, headers included, as published JPEG 2000 curves
    have them. Encoded by the OpenJPEG inside Pillow, because imagecodecs offers no target rate,
    only a target PSNR: each picture is coded alike, but the mean curve of pictures at one PSNR
    lies 1.5 dB lower (Kodak, 0.25 bpp). Decoded by the OpenJPEG inside imagecodecs. Five
    decomposition levels, code blocks of 64x64. Encodes in one thread.

    Ceiling at 12 bpp, PSNR-RGB on 24 Kodak pictures: 51.1 dB (mean), 50.7 dB (worst), at 5.9 bpp.
    Pictures of a few hundred pixels miss low targets: headers alone take 140 bytes.
    """

    name = "jpeg2000"
    citation = "ITU-T T.800 | ISO/IEC 15444-1; encoder OpenJPEG"
    requires = ("imagecodecs", "pillow")
    points = workbench.points(
        "bpp", [0.06, 0.12, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0], limits=(0.01, 12)
    )

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs
        from PIL import features

        return super().versions() | {
            "encoder": f"openjpeg {features.version('jpg_2000')}",
            "decoder": imagecodecs.jpeg2k_version(),
        }

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(_guard.encodable(self.name, image, LONGEST)).save(
            buffer, "JPEG2000", no_jp2=True, irreversible=True, mct=1,
            quality_mode="rates", quality_layers=[24 / point.bpp],
        )  # fmt: skip
        return buffer.getvalue()

    def decode(self, stream: bytes, output: str) -> Picture:
        return _decode(self, stream)


class Htj2k(workbench.Codec):
    """High-Throughput JPEG 2000: 9/7 wavelet, ICT colour transform, one tile, a bare codestream.

    The points are base quantisation steps as a part of the sample range: OpenJPH has no rate
    control. Encoded by OpenJPH, decoded by OpenJPEG: imagecodecs' own HTJ2K decoder does not clip,
    so that 256 wraps round to 0, which costs 1 to 9 dB; elsewhere the two differ by at most 1.
    Five decomposition levels, code blocks of 64x64. Encodes in one thread.

    Ceiling at step 0.0005, 24 Kodak pictures: 3 samples of 28 million are off by 1, at 16.8 bpp.
    A set's mean curve of one step compares with other one-quality curves (``jpeg``, ``webp``),
    not with the one-rate curve of ``jpeg2000``; compare those two picture by picture.
    """

    name = "htj2k"
    citation = "ITU-T T.814 | ISO/IEC 15444-15; encoder OpenJPH, decoder OpenJPEG"
    requires = ("imagecodecs",)
    points = workbench.points(
        "step", [0.4, 0.3, 0.2, 0.12, 0.07, 0.04, 0.025], limits=(0.0005, 0.9)
    )

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs

        return super().versions() | {
            "encoder": imagecodecs.htj2k_version(),
            "decoder": imagecodecs.jpeg2k_version(),
        }

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import imagecodecs

        image = _guard.encodable(self.name, image, LONGEST)
        return bytes(
            imagecodecs.htj2k_encode(image, level=point.step, reversible=False, planar=False)
        )

    def decode(self, stream: bytes, output: str) -> Picture:
        return _decode(self, stream)


def _decode(codec: workbench.Codec, stream: bytes) -> Picture:
    import imagecodecs

    # Codestreams hold no FF D9 but the end marker (T.800 annex A.1), so one that ends with it
    # is whole.
    if len(stream) < 51 or not stream.endswith(b"\xff\xd9"):
        raise _guard.damaged(codec.name, "no end-of-codestream marker")
    soc, siz, n_bytes, _, width, height, *tiles, n, samples = struct.unpack_from(
        ">HHHHIIIIIIIIH9s", stream
    )  # SIZ segment, T.800 annex A.5.1
    one_tile = tiles == [0, 0, width, height, 0, 0]
    rgb = (n_bytes, n, samples) == (47, 3, b"\x07\x01\x01" * 3)  # 8 bit, not subsampled
    if (soc, siz) != (0xFF4F, 0xFF51) or not one_tile or not rgb:
        raise _guard.damaged(codec.name, "no header of one RGB tile")
    decoder: Any = imagecodecs.jpeg2k_decode
    return _guard.decode(codec.name, width, height, decoder, stream, numthreads=codec.threads)


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [Jpeg2000, Htj2k]
