"""The learned codecs' streams.  Little-endian.

`IcmStream`, a whole picture or the base layer of one:

=====  ======================================================================
bytes  meaning
=====  ======================================================================
2      start of the weights' SHA-256
1      rate level, in steps of 1/50
2, 2   width, height of the picture in pixels
4      CRC-32 of the decoded latents, in steps of 2**-10
2      low half of the CRC-32 of everything else
rest   rANS words: z, then the slices of y
=====  ======================================================================

`EnhancementStream`, a layer that means nothing without its base layer:

=====  ======================================================================
bytes  meaning
=====  ======================================================================
2      start of the weights' SHA-256
1      rate level, in steps of 1/50
2      low half of the base layer's CRC-32
4      CRC-32 of the decoded latents, in steps of 2**-10
2      low half of the CRC-32 of everything else
rest   rANS words: z, then the slices of y
=====  ======================================================================
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from workbench.errors import ImageError, StreamError
from workbench.images import MAX_PIXELS

_HEADER = struct.Struct("<2sBHHI")
_ENHANCEMENT = struct.Struct("<2sBHI")
_CRC = struct.Struct("<H")
LEVEL_STEPS = 50
MAX_SIDE = (1 << 16) - 1


@dataclass(frozen=True)
class IcmStream:
    """A parsed stream."""

    weights_id: bytes
    level: float
    width: int
    height: int
    latents_crc: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """Serialise.

        Raises:
            ImageError: a side does not fit the header.
        """
        if max(self.width, self.height) > MAX_SIDE:
            raise ImageError(
                f"picture {self.width}x{self.height}: a side is over {MAX_SIDE}: crop or scale it"
            )
        header = _HEADER.pack(
            self.weights_id,
            round(self.level * LEVEL_STEPS),
            self.width,
            self.height,
            self.latents_crc,
        )
        return _joined(header, self.payload)

    @classmethod
    def from_bytes(cls, data: bytes) -> IcmStream:
        """Parse and check.

        Raises:
            StreamError: cut or damaged.
        """
        header, payload = _split(data, _HEADER)
        weights_id, level, width, height, latents_crc = _HEADER.unpack(header)
        if not 0 < width * height <= MAX_PIXELS:
            raise StreamError(f"stream says {width}x{height}, outside 1..{MAX_PIXELS} pixels")
        return cls(weights_id, level / LEVEL_STEPS, width, height, latents_crc, payload)


@dataclass(frozen=True)
class EnhancementStream:
    """A parsed enhancement layer."""

    weights_id: bytes
    level: float
    base_crc: int
    latents_crc: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        header = _ENHANCEMENT.pack(
            self.weights_id, round(self.level * LEVEL_STEPS), self.base_crc, self.latents_crc
        )
        return _joined(header, self.payload)

    @classmethod
    def from_bytes(cls, data: bytes) -> EnhancementStream:
        """Parse and check.

        Raises:
            StreamError: cut or damaged.
        """
        header, payload = _split(data, _ENHANCEMENT)
        weights_id, level, base_crc, latents_crc = _ENHANCEMENT.unpack(header)
        return cls(weights_id, level / LEVEL_STEPS, base_crc, latents_crc, payload)


def snap_level(level: float) -> float:
    """The nearest rate level that a stream can carry."""
    return round(level * LEVEL_STEPS) / LEVEL_STEPS


def layer_crc(data: bytes) -> int:
    """What an enhancement layer knows its base layer by."""
    return zlib.crc32(data) & 0xFFFF


def _joined(header: bytes, payload: bytes) -> bytes:
    return header + _CRC.pack(_crc(header, payload)) + payload


def _split(data: bytes, layout: struct.Struct) -> tuple[bytes, bytes]:
    start = layout.size + _CRC.size
    if len(data) < start:
        raise StreamError(f"stream of {len(data)} bytes is shorter than its header, {start}")
    header, payload = data[: layout.size], data[start:]
    (crc,) = _CRC.unpack(data[layout.size : start])
    if crc != _crc(header, payload) or len(payload) % 4:
        raise StreamError("stream is cut or damaged: its checksum does not match")
    return header, payload


def _crc(header: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(header)) & 0xFFFF
