"""The on-disk stream format, ``.wbs``. Numbers are little-endian.

====================  =======================================================================
bytes                 meaning
====================  =======================================================================
3                     magic ``WBS``
1                     version of this format, 1
1 + n                 length of the codec's name, the name in UTF-8
1 + n                 length of the rate point's label, the label in UTF-8; for the reader only:
                      a decoder does not get it
4, 4                  width, height of the original in pixels
1                     number of layers
a layer: 1 + n, 8, 4  length of its name, the name in UTF-8; its size in bytes; its CRC-32
4                     CRC-32 of everything above
then                  the layers' bytes, in the order of the list
====================  =======================================================================

A file may hold fewer layers than its codec makes: it then decodes to the outputs that need no
others.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.errors import StreamError

MAGIC = b"WBS"
VERSION = 1
_SIZES, _LAYER, _CRC = struct.Struct("<IIB"), struct.Struct("<QI"), struct.Struct("<I")


@dataclass(frozen=True)
class Stream:
    """A coded picture: an ordered set of named layers, and what is needed to find its decoder."""

    codec: str
    point: str
    width: int
    height: int
    layers: Mapping[str, bytes]

    def n_bytes(self, names: Iterable[str]) -> int:
        """Bytes of the named layers alone, without the container."""
        return sum(len(self.layers[name]) for name in names)

    def subset(self, names: Iterable[str]) -> Stream:
        """The same stream with only the named layers.

        Raises:
            StreamError: a layer is not there.
        """
        wanted = tuple(names)
        missing = [name for name in wanted if name not in self.layers]
        if missing:
            raise StreamError(
                f"{self.codec}: layer {missing[0]!r} is missing; "
                f"the stream has {', '.join(self.layers) or 'none'}"
            )
        layers = {name: self.layers[name] for name in wanted}
        return Stream(self.codec, self.point, self.width, self.height, layers)

    def container_bytes(self, names: Iterable[str]) -> int:
        """Size in bytes of the container file that holds the named layers."""
        kept = self.subset(names)
        texts = (self.codec, self.point, *kept.layers)
        fixed = len(MAGIC) + 1 + _SIZES.size + _LAYER.size * len(kept.layers) + _CRC.size
        return fixed + sum(len(_text(text)) for text in texts) + kept.n_bytes(kept.layers)

    def to_bytes(self) -> bytes:
        """The container file's bytes."""
        return b"".join([self._header(), *self.layers.values()])

    def _header(self) -> bytes:
        parts = [MAGIC, bytes([VERSION]), _text(self.codec), _text(self.point)]
        parts.append(_SIZES.pack(self.width, self.height, len(self.layers)))
        for name, data in self.layers.items():
            parts += [_text(name), _LAYER.pack(len(data), zlib.crc32(data))]
        header = b"".join(parts)
        return header + _CRC.pack(zlib.crc32(header))

    @classmethod
    def from_bytes(cls, data: bytes) -> Stream:
        """Read a container file's bytes.

        Raises:
            StreamError: not such a file, another version, cut, or a checksum differs.
        """
        reader = _Reader(data)
        if reader.take(len(MAGIC)) != MAGIC:
            raise StreamError("not a workbench stream: it does not start with 'WBS'")
        version = reader.take(1)[0]
        if version != VERSION:
            raise StreamError(
                f"stream format {version}: this workbench reads format {VERSION}; "
                "use the release that wrote the file"
            )
        codec, point = reader.text(), reader.text()
        width, height, n_layers = _SIZES.unpack(reader.take(_SIZES.size))
        table = [(reader.text(), *_LAYER.unpack(reader.take(_LAYER.size))) for _ in range(n_layers)]
        header_crc = zlib.crc32(data[: reader.position])
        if _CRC.unpack(reader.take(_CRC.size))[0] != header_crc:
            raise StreamError("the stream's header is damaged: its checksum differs")
        layers = {}
        for name, n_bytes, crc in table:
            layer = reader.take(n_bytes)
            if zlib.crc32(layer) != crc:
                raise StreamError(f"layer {name!r} is damaged: its checksum differs")
            layers[name] = layer
        if reader.position != len(data):
            extra = len(data) - reader.position
            raise StreamError(f"the stream has {extra} bytes behind its last layer")
        return cls(codec, point, width, height, layers)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, n_bytes: int) -> bytes:
        end = self.position + n_bytes
        if end > len(self.data):
            raise StreamError(f"the stream is cut: {len(self.data)} bytes, needs at least {end}")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def text(self) -> str:
        raw = self.take(self.take(1)[0])
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise StreamError("the stream's header is damaged: a name is not UTF-8") from None


def _text(value: str) -> bytes:
    raw = value.encode()
    if len(raw) > 255:
        raise StreamError(f"name of {len(raw)} bytes, at most 255: {value[:40]!r}...")
    return bytes([len(raw)]) + raw
