"""Reading and writing pictures, and colour conversion: sRGB uint8 ``[H, W, 3]`` everywhere.

Pictures that are not plain 8-bit sRGB are converted where that is exact or standard (grey,
palette, opaque alpha, an embedded ICC profile) and refused with a cure where it is not.
Conversions between RGB and YCbCr are float, ITU-R BT.709, rounded and never truncated.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

MAX_PIXELS = 1 << 28  # 16384 x 16384: 768 MiB as RGB, more is a mistake or an attack
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")

# ITU-R BT.709-6, section 3: luma weights of red and blue.
K_R, K_B = 0.2126, 0.0722
K_G = 1 - K_R - K_B
RGB_TO_YCBCR = np.array(
    [
        [K_R, K_G, K_B],
        [-K_R / (2 * (1 - K_B)), -K_G / (2 * (1 - K_B)), 0.5],
        [0.5, -K_G / (2 * (1 - K_R)), -K_B / (2 * (1 - K_R))],
    ]
)
YCBCR_TO_RGB = np.linalg.inv(RGB_TO_YCBCR)


def probe(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return (width, height) from a picture's header, without decoding it.

    Raises:
        ImageError: the file is missing, no picture, or of a kind that :func:`read` refuses.
    """
    with _open(path) as image:
        _refuse(image, path)
        return image.size


def read(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture as uint8 ``[H, W, 3]`` sRGB. Orientation tags are ignored.

    Raises:
        ImageError: the file is missing, cut, no picture, or not 8-bit and opaque.
    """
    with _open(path) as image:
        _refuse(image, path)
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(
                f"{path}: cut or damaged picture ({error}): replace the file"
            ) from None
        return np.asarray(_to_rgb(image, path))


def write(path: str | os.PathLike[str], picture: NDArray[np.uint8]) -> None:
    """Write uint8 ``[H, W, 3]`` as PNG, through a temporary file, so that no half is left."""
    from PIL import Image

    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ImageError(f"{path}: pictures are written as .png, which keeps every pixel")
    part = target.with_name(target.name + ".part")
    try:
        Image.fromarray(picture).save(part, format="PNG")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ImageError(f"{path}: cannot write ({error.strerror or error})") from None


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: str | os.PathLike[str]) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # The size is checked against MAX_PIXELS, below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: more than {MAX_PIXELS} pixels: crop or scale it") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not a picture that can be read: convert it to PNG") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read ({error})") from None


def _refuse(image: Image.Image, path: str | os.PathLike[str]) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width}x{height} is more than {MAX_PIXELS} pixels: crop or scale it"
        )
    if image.mode not in ("RGB", "L", "1", "P", "RGBA", "LA", "PA"):
        kind = {"CMYK": "CMYK", "YCCK": "CMYK"}.get(image.mode, f"of pixel type {image.mode}")
        if image.mode.startswith(("I", "F")):
            kind = "not 8 bits a sample"
        raise ImageError(f"{path}: the picture is {kind}: convert it to 8-bit sRGB first")
    if image.format == "PNG" and _png_depth(image) == 16:
        raise ImageError(f"{path}: 16 bits a sample: convert it to 8-bit sRGB first")


def _png_depth(image: Image.Image) -> int:
    # Pillow reads 16-bit RGB PNGs as 8-bit ones by cutting the low byte: the header says so.
    file = getattr(image, "fp", None)
    if file is None or not file.seekable():
        return 8
    position = file.tell()
    file.seek(24)  # signature 8, chunk length 4, "IHDR" 4, width 4, height 4
    depth = file.read(1)
    file.seek(position)
    return depth[0] if depth else 8


def _to_rgb(image: Image.Image, path: str | os.PathLike[str]) -> Image.Image:
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if has_alpha:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise ImageError(f"{path}: has transparent pixels: flatten it onto a background first")
    profile: Any = image.info.get("icc_profile")
    image = image.convert("RGB")
    return _to_srgb(image, profile, path) if profile else image


def _to_srgb(image: Image.Image, profile: bytes, path: str | os.PathLike[str]) -> Image.Image:
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source) or (
            source.profile.xcolor_space.strip() != "RGB"
        ):
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(f"{path}: its ICC profile cannot be used ({error}): remove it") from None
    assert converted is not None
    return converted


def to_ycbcr(picture: NDArray[np.uint8], bits: int = 8) -> NDArray[np.float64]:
    """Convert to full-range BT.709 YCbCr, not rounded.

    Args:
        picture: uint8 ``[H, W, 3]``.
        bits: depth of the result; chroma is centred on ``2 ** (bits - 1)``.

    Returns:
        float64 ``[H, W, 3]`` within 0 .. ``2 ** bits - 1``.
    """
    peak = (1 << bits) - 1
    planes = picture @ (RGB_TO_YCBCR.T * (peak / 255))
    planes[..., 1:] += 1 << (bits - 1)
    return np.asarray(planes)


def from_ycbcr(planes: NDArray[Any], bits: int = 8) -> NDArray[np.uint8]:
    """Convert full-range BT.709 YCbCr ``[H, W, 3]`` of ``bits`` depth to uint8 sRGB, rounded."""
    peak = (1 << bits) - 1
    values = planes.astype(np.float64)
    values[..., 1:] -= 1 << (bits - 1)
    return to_uint8(values @ (YCBCR_TO_RGB.T * (255 / peak)))


def to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Round to the nearest integer and clip to 0..255."""
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
