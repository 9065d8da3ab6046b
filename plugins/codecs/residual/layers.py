"""What the residual codecs share: a base layer by any codec, and what the picture lacks to it.

::

    x ──► inner codec ──► base ──► inner decoder ──► x̂ ────────────► machine output
    │                                                │
    └──────────► x given x̂ ──► enhancement ──────────┴─► restore ──► human output

The base layer is the inner codec's own stream, which its own decoder reads. Where the inner codec
has layers, it is those that its output for machines needs (its first output, where none is for
machines); of several, each but the last stands behind its size, 4 bytes, little-endian.

The enhancement layer begins with 4 bytes, little-endian: the CRC-32 of its other bytes and then of
x̂. A decoder thus raises an error where the layers do not belong together.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import workbench
from workbench.errors import PluginError, StreamError
from workbench.provenance import plugin_key

if TYPE_CHECKING:
    from workbench.api import Picture
    from workbench.registry import Registry

SIZE_BYTES = 4
CRC_BYTES = 4


class PairPoints(workbench.Points):
    """Points ``quality20-qp32``: one of the inner codec's, and one of the enhancement's.

    Listed are all points of the enhancement over one of the inner codec, a third of the way up
    from its lowest, since machines need less than people. Any other pair may be asked for.
    """

    def __init__(self, inner: workbench.Points, enhancement: workbench.Points) -> None:
        self._inner, self._enhancement = inner, enhancement
        base = inner[(len(inner) - 1) // 3]
        super().__init__(_pair(base, point) for point in enhancement)

    def find(self, label: str, codec: str = "codec") -> workbench.Point:
        base, dash, rest = label.rpartition("-")
        if not dash:
            return super().find(label, codec)
        return _pair(self._inner.find(base, codec), self._enhancement.find(rest, codec))


def _pair(base: workbench.Point, enhancement: workbench.Point) -> workbench.Point:
    label = f"{base.label}-{enhancement.label}"
    return workbench.Point(label, {"base": base.label, "enhancement": enhancement.label})


class ResidualCodec(workbench.Codec):
    """Two layers over ``inner``. A subclass codes a picture given the base layer's picture."""

    family = "CODEC"
    layers = ("base", "enhancement")
    outputs: ClassVar[Mapping[str, workbench.Output]] = {
        "machine": workbench.Output(("base",), "machine"),
        "human": workbench.Output(("base", "enhancement"), "human"),
    }
    inner: ClassVar[type[workbench.Codec] | None] = None
    """The codec of the base layer; None in the family itself."""
    enhancement_points: ClassVar[workbench.Points]

    @classmethod
    def of(cls, argument: str, registry: Registry) -> type[workbench.Codec]:
        return cls.over(registry.codec(argument), f"{cls.name}:{argument}")

    @classmethod
    def over(cls, inner: type[workbench.Codec], name: str) -> type[Self]:
        """Make the codec called ``name`` with a base layer by ``inner``."""
        first, newline, rest = inspect.cleandoc(cls.__doc__ or "").partition("\n")
        made = {
            "__module__": cls.__module__,
            "__doc__": f"{first} Base layer: {inner.name}.{newline}{rest}",
            "name": name,
            "family": "",
            "inner": inner,
            "points": PairPoints(inner.points, cls.enhancement_points),
        }
        return cast("type[Self]", type(cls.__name__, (cls,), made))

    @classmethod
    def unavailable(cls) -> str | None:
        reason = super().unavailable()
        if reason or cls.inner is None:
            return reason
        reason = cls.inner.unavailable()
        return f"its base layer's codec {cls.inner.name} {reason}" if reason else None

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        own = super().fingerprint()
        return own if cls.inner is None else {**own, "inner": plugin_key(cls.inner)}

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        super().__init__(device, threads)
        if self.inner is None:
            raise PluginError(f"{self.name} is a family: write {self.name}:{self.family}")
        self._base = self.inner(device, threads)
        outputs = self._base.outputs
        chosen = (name for name, output in outputs.items() if output.audience == "machine")
        self._output = next(chosen, next(iter(outputs)))

    def enhance(self, image: Picture, base: Picture, point: workbench.Point) -> bytes:
        """Code ``image`` for a decoder that has ``base``, at a point of the enhancement."""
        raise PluginError(f"{self.name}: must define enhance")

    def restore(self, base: Picture, data: bytes) -> Picture:
        """Inverse of :meth:`enhance`; ``data`` has passed a checksum."""
        raise PluginError(f"{self.name}: must define restore")

    def encode(self, image: Picture, point: workbench.Point) -> dict[str, bytes]:
        inner_point = self._base.points.find(point.base, self._base.name)
        base = self._join(self._base.encode_many([image], inner_point)[0])
        decoded = self._decode_base(base)
        data = self.enhance(image, decoded, self.enhancement_points.find(point.enhancement))
        return {"base": base, "enhancement": _checksum(data, decoded) + data}

    def decode(self, stream: Mapping[str, bytes], output: str) -> Picture:
        decoded = self._decode_base(stream["base"])
        if output == "machine":
            return decoded
        crc, data = stream["enhancement"][:CRC_BYTES], stream["enhancement"][CRC_BYTES:]
        if crc != _checksum(data, decoded):
            raise StreamError(
                f"{self.name}: the enhancement layer is damaged, or belongs to another base layer "
                "than the one that was decoded here: its checksum differs"
            )
        return self.restore(decoded, data)

    # -- the base layer -------------------------------------------------------------------------

    @property
    def _needs(self) -> tuple[str, ...]:
        return self._base.outputs[self._output].needs

    def _join(self, payload: Any) -> bytes:
        layers = payload if isinstance(payload, Mapping) else {self._base.layers[0]: payload}
        *sized, last = (bytes(layers[name]) for name in self._needs)
        return b"".join(len(part).to_bytes(SIZE_BYTES, "little") + part for part in sized) + last

    def _split(self, data: bytes) -> Iterator[bytes]:
        for _ in self._needs[1:]:
            end = SIZE_BYTES + int.from_bytes(data[:SIZE_BYTES], "little")
            if end > len(data):
                raise StreamError(f"{self.name}: the base layer is cut or damaged")
            yield data[SIZE_BYTES:end]
            data = data[end:]
        yield data

    def _decode_base(self, data: bytes) -> Picture:
        parts = dict(zip(self._needs, self._split(data), strict=True))
        payload = parts if len(self._base.layers) > 1 else data
        return self._base.decode_many([payload], self._output)[0]


def _checksum(data: bytes, base: Picture) -> bytes:
    return zlib.crc32(base.tobytes(), zlib.crc32(data)).to_bytes(CRC_BYTES, "little")
