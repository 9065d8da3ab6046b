"""What the in-process codecs share: sizes they can code, and decoding that survives damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench import errors

if TYPE_CHECKING:
    from workbench.api import Picture


def encodable(codec: str, image: Picture, longest: int) -> Picture:
    """Return uint8 ``[H, W, 3]`` as contiguous memory, which the C libraries need.

    Raises:
        ImageError: a side is longer than ``longest``, or there are more pixels than a decoder
            here accepts.
    """
    import numpy as np

    from workbench import images

    height, width = image.shape[:2]
    if max(height, width) > longest or height * width > images.MAX_PIXELS:
        raise errors.ImageError(
            f"{codec}: {width}x{height} is outside 1x1..{longest}x{longest} with at most "
            f"{images.MAX_PIXELS} pixels: crop or scale the picture"
        )
    return np.ascontiguousarray(image)


def damaged(codec: str, why: object) -> errors.StreamError:
    """The error for a stream that cannot be decoded."""
    return errors.StreamError(
        f"{codec}: the stream is cut, damaged or of another codec ({why}): encode it again"
    )


def decode(
    codec: str, width: int, height: int, decoder: Callable[..., Any], *args: Any, **kwargs: Any
) -> Picture:
    """Call a library's decoder on a stream whose header says ``width`` and ``height``.

    Sizes are checked first, so that a header alone cannot make a decoder take more memory than
    the largest picture needs.

    Raises:
        StreamError: the size is absurd, the library refuses the stream, or what it decoded is
            not uint8 ``[height, width, 3]``.
    """
    import numpy as np

    from workbench import images

    if not 0 < width * height <= images.MAX_PIXELS:
        raise damaged(codec, f"{width}x{height} is outside 1..{images.MAX_PIXELS} pixels")
    try:
        picture = np.asarray(decoder(*args, **kwargs))
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        raise damaged(codec, error) from None
    if picture.dtype != np.uint8 or picture.shape != (height, width, 3):
        raise damaged(codec, f"decoded to {picture.dtype} {list(picture.shape)}")
    return picture
