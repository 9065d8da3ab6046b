"""What the ffmpeg codecs share: a video encoder that codes every picture by itself.

The stream of a picture::

    4        CRC-32 of all that follows, little-endian
    1..3     width in pixels, unsigned LEB128
    1..3     height in pixels, unsigned LEB128
    rest     the access unit (AV1: temporal unit) with its parameter sets, as the encoder wrote it,
             but without delimiters and encoder messages, which no decoder needs, and with fields
             that only number the picture set as for a first one

The size stands there because pictures are padded to what a format can hold, by repeating their
edge, and cropped after decoding; the checksum because slices have none: a cut or damaged stream
raises instead of decoding to something else. Both are counted in the rate, 8 bytes a picture.

``encode_many`` sends pictures of one size through one process and cuts what comes out; the bytes
are those that a process of its own gives each picture, whatever the batch and the threads.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import workbench
from workbench.errors import PluginError, StreamError
from workbench_plugins import ffmpeg_binary
from workbench_plugins.codecs.ffmpeg import process, program
from workbench_plugins.codecs.ffmpeg.obu import leb128, to_leb128

if TYPE_CHECKING:
    from workbench.api import Picture
    from workbench_plugins.codecs.ffmpeg.colour import Layout

T = TypeVar("T")
R = TypeVar("R")

# Raw bytes that one process gets at most, unless a single picture is larger.
CHUNK_BYTES = 1 << 28


class IntraCodec(workbench.Codec):
    """A still-picture codec made of an ffmpeg video encoder and decoder.

    A subclass says how to call the encoder and how to cut its stream into pictures.
    """

    requires = ("imageio-ffmpeg", "ffmpeg-python")
    batch = 16

    encoder: ClassVar[str]
    decoder: ClassVar[str]
    container: ClassVar[str]
    bits: ClassVar[int]
    halved: ClassVar[bool] = True
    """4:2:0; 4:4:4 where False."""
    minimum: ClassVar[int] = 16
    """Smallest width and height that the encoder takes, even."""
    spaced: ClassVar[bool] = False
    """Send a black picture, cheap to code, between two pictures, and drop what becomes of it."""
    version_pattern: ClassVar[bytes]
    """Finds the encoder library's version in what it says and writes."""

    @classmethod
    def options(cls, point: workbench.Point) -> dict[str, str | int | float]:
        """ffmpeg's encoder options at a rate point; every picture alone, constant quantiser."""
        raise PluginError(f"{cls.name}: must define options")

    @classmethod
    def cut(cls, stream: bytes) -> list[bytes]:
        """Cut what the encoder wrote into pictures that decode alone, the same bytes anywhere."""
        raise PluginError(f"{cls.name}: must define cut")

    @classmethod
    def layout(cls) -> Layout:
        from workbench_plugins.codecs.ffmpeg.colour import Layout

        return Layout(cls.bits, cls.halved)

    @classmethod
    def unavailable(cls) -> str | None:
        why = super().unavailable()
        if why is not None or not program.is_own():
            return why
        # Plugins are listed without starting anything: the encoders are known once versions()
        # has asked the program for them.
        try:
            known = program.known_encoders()
        except PluginError as error:
            return str(error)
        return cls._lacks(known) if known is not None else None

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Versions of the Python packages, the ffmpeg program and the encoder library.

        Of a program that the user named, also the list of its encoders.

        Raises:
            PluginError: the program cannot be run or lacks the encoder.
        """
        version, encoders = ffmpeg_binary.version(), program.encoders()
        if why := cls._lacks(encoders):
            raise PluginError(f"{cls.name}: {why}")
        raw = cls.layout().raw(128, 128)
        options = tuple(cls.options(cls.points[0]).items())
        said = process.trial(ffmpeg_binary.path(), cls.encoder, cls.container, raw, options)
        found = re.search(cls.version_pattern, said)
        library = found[1].decode(errors="replace") if found else "unknown"
        versions = {**super().versions(), "ffmpeg": version, cls.encoder: library}
        if program.is_own():
            versions["ffmpeg encoders"] = " ".join(sorted(encoders))
        return versions

    @classmethod
    def _lacks(cls, encoders: frozenset[str]) -> str | None:
        if cls.encoder in encoders:
            return None
        return (
            f"{ffmpeg_binary.path()} has no encoder {cls.encoder}: set {ffmpeg_binary.SETTING} to "
            "an ffmpeg built with it, or unset it and install imageio-ffmpeg 0.8 or newer"
        )

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        return self.encode_many([image], point)[0]

    def decode(self, stream: bytes, output: str) -> Picture:
        return self.decode_many([stream], output)[0]

    def encode_many(
        self, images: Sequence[Picture], point: workbench.Point
    ) -> list[workbench.Payload]:
        from workbench_plugins.codecs.ffmpeg import colour

        height, width = images[0].shape[:2]
        layout = self.layout()
        raw = layout.raw(*self._coded_size(width, height))

        def code(group: Sequence[Picture], threads: int) -> list[workbench.Payload]:
            frames = [colour.to_planes(image, layout, raw.width, raw.height) for image in group]
            stream = process.encode(
                (bytes(raw.frame_bytes) if self.spaced else b"").join(frames),
                raw,
                encoder=self.encoder,
                container=self.container,
                options=self.options(point),
                threads=threads,
                codec=self.name,
            )
            pieces = self.cut(stream)[:: 2 if self.spaced else 1]
            if len(pieces) != len(group):
                raise PluginError(
                    f"{self.name}: {self.encoder} wrote {len(pieces)} pictures for {len(group)}"
                )
            return [_pack(width, height, piece) for piece in pieces]

        return self._in_groups(code, images, raw.frame_bytes)

    def decode_many(self, streams: Sequence[bytes], output: str) -> list[Picture]:
        from workbench_plugins.codecs.ffmpeg import colour

        parsed = [_unpack(self.name, stream) for stream in streams]
        sizes = {(width, height) for width, height, _ in parsed}
        if len(sizes) != 1:
            raise StreamError(f"{self.name}: streams of several sizes in one batch: {sizes}")
        width, height = sizes.pop()
        layout = self.layout()
        raw = layout.raw(*self._coded_size(width, height))

        def reconstruct(group: Sequence[tuple[int, int, bytes]], threads: int) -> list[Picture]:
            planes = process.decode(
                b"".join(piece for _, _, piece in group),
                raw,
                len(group),
                container=self.container,
                decoder=self.decoder,
                threads=threads,
                codec=self.name,
            )
            view = memoryview(planes)
            frames = [
                view[start : start + raw.frame_bytes]
                for start in range(0, len(planes), raw.frame_bytes)
            ]
            return [colour.from_planes(frame, layout, raw, width, height) for frame in frames]

        return self._in_groups(reconstruct, parsed, raw.frame_bytes)

    def _coded_size(self, width: int, height: int) -> tuple[int, int]:
        step = 2 if self.halved else 1
        width, height = (max(-(-side // step) * step, self.minimum) for side in (width, height))
        return width, height

    def _in_groups(
        self, work: Callable[[Sequence[T], int], list[R]], items: Sequence[T], item_bytes: int
    ) -> list[R]:
        """Share items out to as many processes at a time as there are threads, in order."""
        share = -(-len(items) // self.threads)
        share = max(1, min(share, CHUNK_BYTES // item_bytes))
        groups = [items[start : start + share] for start in range(0, len(items), share)]
        at_once = min(self.threads, len(groups))
        if at_once == 1:
            return [result for group in groups for result in work(group, self.threads)]
        with ThreadPoolExecutor(at_once) as pool:
            done = pool.map(lambda group: work(group, self.threads // at_once), groups)
            return [result for results in done for result in results]


def _pack(width: int, height: int, piece: bytes) -> bytes:
    body = to_leb128(width) + to_leb128(height) + piece
    return zlib.crc32(body).to_bytes(4, "little") + body


def _unpack(codec: str, stream: Any) -> tuple[int, int, bytes]:
    """Return width, height and the coded picture of a stream that may come from anywhere."""
    from workbench.images import MAX_PIXELS

    body = stream[4:]
    if len(body) < 3 or zlib.crc32(body) != int.from_bytes(stream[:4], "little"):
        raise StreamError(
            f"{codec}: the stream of {len(stream)} bytes is cut or damaged: its checksum differs"
        )
    try:
        width, position = leb128(body, 0)
        height, position = leb128(body, position)
    except StreamError as error:
        raise StreamError(f"{codec}: {error}") from None
    if not (width and height and width * height <= MAX_PIXELS):
        raise StreamError(
            f"{codec}: the stream says {width}x{height} pixels, outside 1..{MAX_PIXELS}"
        )
    return width, height, body[position:]
