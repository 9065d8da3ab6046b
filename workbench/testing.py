"""The conformance suite for codec authors: ``workbench check``, or from pytest::

    from workbench.testing import check_codec

    def test_my_codec_conforms():
        for verdict in check_codec("mine", files=["mine.py"]):
            assert verdict.passed, verdict

Every check runs in a process of its own with a time limit, so a codec that crashes or hangs gets
a verdict like any other.
"""

from __future__ import annotations

import inspect
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import registry
from workbench.api import Codec
from workbench.container import Stream
from workbench.contract import check_picture, from_stream, to_stream
from workbench.errors import PluginError
from workbench.measure import describe
from workbench.points import Point

if TYPE_CHECKING:
    from workbench.api import Picture

TIMEOUT_S = 120.0
N_FLIPS = 24


@dataclass(frozen=True)
class Verdict:
    """The result of one check; ``detail`` says what was seen."""

    check: str
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        mark = "ok    " if self.passed else "FAILED"
        return f"{mark} {self.check}" + (f": {self.detail}" if self.detail else "")


class _Failed(Exception):
    """A check did not hold."""


@dataclass(frozen=True)
class _Subject:
    """The codec under test, with a new instance whenever one is asked for."""

    kind: type[Codec]

    def encode(self, image: Picture, point: Point, encoder: Codec | None = None) -> Stream:
        codec = encoder or self.kind()
        payload = codec.encode_many([image], point)[0]
        return to_stream(codec, point, image.shape[1], image.shape[0], payload)

    def decode(self, stream: Stream, output: str) -> Picture:
        picture = self.kind().decode_many([from_stream(self.kind, stream, output)], output)[0]
        check_picture(picture, stream.width, stream.height, self.kind.name)
        return picture

    @property
    def lowest(self) -> Point:
        return self.kind.points[0]

    @property
    def highest(self) -> Point:
        return self.kind.points[-1]


def picture(height: int, width: int, seed: int = 0) -> Picture:
    """A test picture, uint8 ``[height, width, 3]``: smooth colours with edges and some noise."""
    import numpy as np

    from workbench import images

    noise = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 64
    waves = [np.sin(3 * x + c) * np.cos(2 * y - c) for c in range(3)]
    edges = ((x * 2).astype(int) + (y * 3).astype(int)) % 2
    values = 128 + 70 * np.stack(waves, -1) + 30 * edges[..., None] + noise.normal(0, 4, (1, 1, 3))
    values += noise.normal(0, 4, values.shape)
    return images.to_uint8(values)


# -- the checks, in the order they are told ---------------------------------------------------


def _sizes(subject: _Subject, height: int, width: int) -> str:
    image = picture(height, width)
    for point in (subject.lowest, subject.highest):
        stream = subject.encode(image, point)
        for output in subject.kind.outputs:
            subject.decode(stream, output)
    return ""


def one_pixel_picture(subject: _Subject) -> str:
    """A 1×1 picture is coded and decoded by a fresh instance."""
    return _sizes(subject, 1, 1)


def odd_sizes(subject: _Subject) -> str:
    """A picture of 37×53 pixels is coded and decoded by a fresh instance."""
    return _sizes(subject, 37, 53)


def same_bytes_twice(subject: _Subject) -> str:
    """Two fresh encoders, and one encoder used twice, make the same bytes."""
    image = picture(64, 96)
    first = subject.encode(image, subject.highest).to_bytes()
    encoder = subject.kind()
    for _ in range(2):
        if subject.encode(image, subject.highest, encoder).to_bytes() != first:
            raise _Failed("the bytes differ")
    return ""


def batches_change_nothing(subject: _Subject) -> str:
    """Pictures coded and decoded as a batch give the same bytes and pictures as alone."""
    images = [picture(48, 64, seed) for seed in range(min(3, subject.kind.batch))]
    point = subject.highest
    alone = [subject.encode(image, point) for image in images]
    together = subject.kind().encode_many(images, point)
    for stream, payload in zip(alone, together, strict=True):
        if to_stream(subject.kind, point, 64, 48, payload).to_bytes() != stream.to_bytes():
            raise _Failed("a batch of pictures gives other bytes than one at a time")
    for output in subject.kind.outputs:
        payloads = [from_stream(subject.kind, stream, output) for stream in alone]
        decoded = subject.kind().decode_many(payloads, output)
        for stream, found in zip(alone, decoded, strict=True):
            if (subject.decode(stream, output) != found).any():
                raise _Failed(f"{output}: a batch of streams decodes to other pictures")
    return f"{len(images)} at once" if len(images) > 1 else "the codec takes one at a time"


def input_is_left_alone(subject: _Subject) -> str:
    """Encoding does not write into the picture it is given."""
    image = picture(64, 64)
    before = image.copy()
    subject.encode(image, subject.lowest)
    if (image != before).any():
        raise _Failed("encode changed its input")
    return ""


def rate_and_quality_grow(subject: _Subject) -> str:
    """The last point costs more than the first, and its best output is nearer the original."""
    import numpy as np

    image = picture(128, 192)
    sizes, errors = [], []
    for point in (subject.lowest, subject.highest):
        stream = subject.encode(image, point)
        sizes.append(stream.n_bytes(stream.layers))
        decoded = [subject.decode(stream, output) for output in subject.kind.outputs]
        errors.append(min(float(np.mean((d.astype(float) - image) ** 2)) for d in decoded))
    detail = f"{sizes[0]} to {sizes[1]} bytes, MSE {errors[0]:.1f} to {errors[1]:.1f}"
    if len(subject.kind.points) > 1 and not (sizes[0] < sizes[1] and errors[0] > errors[1]):
        raise _Failed(f"list points from low to high rate: {detail}")
    return detail


def cut_streams_raise(subject: _Subject) -> str:
    """A layer that lost its end, or all of itself, raises an error."""
    stream = subject.encode(picture(64, 64), subject.highest)
    for output, needs in subject.kind.outputs.items():
        for name in needs.needs:
            data = stream.layers[name]
            for keep in sorted({0, 1, len(data) // 3, len(data) // 2, len(data) - 1}):
                if keep < len(data) and not _raises(subject, stream, name, data[:keep], output):
                    raise _Failed(f"{name} cut from {len(data)} to {keep} bytes was decoded")
    return ""


def damaged_streams_raise_or_decode(subject: _Subject) -> str:
    """Flipped bits and random bytes raise an error or give a picture, and never crash."""
    import numpy as np

    random = np.random.default_rng(0)
    stream = subject.encode(picture(64, 64), subject.highest)
    raised = total = 0
    for output, needs in subject.kind.outputs.items():
        for name in needs.needs:
            data = stream.layers[name]
            for _ in range(N_FLIPS):
                broken = bytearray(data or b"\0")
                broken[random.integers(len(broken))] ^= 1 << int(random.integers(8))
                raised += _raises(subject, stream, name, bytes(broken), output)
                raised += _raises(subject, stream, name, random.bytes(len(broken)), output)
                total += 2
    return f"{raised} of {total} raised"


def _raises(subject: _Subject, stream: Stream, layer: str, data: bytes, output: str) -> bool:
    layers = {**stream.layers, layer: data}
    broken = Stream(stream.codec, stream.point, stream.width, stream.height, layers)
    try:
        found = subject.kind().decode_many([from_stream(subject.kind, broken, output)], output)[0]
    except Exception:
        return True
    # The decoder knows no size but the stream's own, which may be what was damaged.
    check_picture(found, found.shape[1], found.shape[0], subject.kind.name)
    return False


CHECKS: tuple[Callable[[_Subject], str], ...] = (
    one_pixel_picture,
    odd_sizes,
    same_bytes_twice,
    batches_change_nothing,
    input_is_left_alone,
    rate_and_quality_grow,
    cut_streams_raise,
    damaged_streams_raise_or_decode,
)
ELSEWHERE = "another process decodes the same picture"


def check_codec(
    name: str, files: Sequence[str] = (), timeout_s: float = TIMEOUT_S
) -> Iterator[Verdict]:
    """Run the suite on a codec, found by name among installed plugins and ``files``.

    Raises:
        PluginError: no such codec, or it is not available here.
    """
    from pebble import ProcessExpired, ProcessPool

    registry.load(files).select_codecs([name])
    with ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn")) as pool:
        for check in CHECKS:
            title = (inspect.getdoc(check) or "").rstrip(".")
            future = pool.schedule(_judge, args=[name, tuple(files), check], timeout=timeout_s)
            try:
                passed, detail = future.result()
            except TimeoutError:
                passed, detail = False, f"no end within {timeout_s:g} s"
            except ProcessExpired as error:
                code = error.exitcode
                died = signal.strsignal(-code) if code < 0 else f"exit code {code}"
                passed, detail = False, f"its process died: {died}"
            yield Verdict(title, passed, detail)
    yield _judge_elsewhere(name, files, timeout_s)


def _judge(name: str, files: tuple[str, ...], check: Callable[[_Subject], str]) -> tuple[bool, str]:
    subject = _Subject(registry.load(files).codec(name))
    try:
        return True, check(subject)
    except _Failed as error:
        return False, str(error)
    except (Exception, SystemExit) as error:
        return False, describe(error)


def _judge_elsewhere(name: str, files: Sequence[str], timeout_s: float) -> Verdict:
    """Encode in one new process, decode in two others; all must see the same picture."""
    from pebble import ProcessPool

    seen: list[Any] = []
    data: bytes | None = None
    for _ in range(3):
        with ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn")) as pool:
            future = pool.schedule(_elsewhere, args=[name, tuple(files), data], timeout=timeout_s)
            try:
                data, hashes = future.result()
            except (Exception, SystemExit) as error:
                return Verdict(ELSEWHERE, False, describe(error))
        seen.append(hashes)
    same = seen[0] == seen[1] == seen[2]
    return Verdict(ELSEWHERE, same, "" if same else "the pictures differ between processes")


def _elsewhere(
    name: str, files: tuple[str, ...], data: bytes | None
) -> tuple[bytes, dict[str, str]]:
    import hashlib

    subject = _Subject(registry.load(files).codec(name))
    if data is None:
        data = subject.encode(picture(64, 80), subject.highest).to_bytes()
    stream = Stream.from_bytes(data)
    outputs = subject.kind.outputs
    return data, {
        o: hashlib.sha256(subject.decode(stream, o).tobytes()).hexdigest() for o in outputs
    }


def codecs_of_file(file: str) -> list[str]:
    """Names of the codecs that a local plugin file adds.

    Raises:
        PluginError: it adds none.
    """
    names = sorted(set(registry.load([file]).codecs) - set(registry.load().codecs))
    if not names:
        raise PluginError(f"{file}: adds no codec: return its class from workbench_codecs")
    return names
