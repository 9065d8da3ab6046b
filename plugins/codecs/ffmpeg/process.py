"""Running the ffmpeg program: raw planes in, a coded stream out, and back.

Command lines are built by ffmpeg-python. Results travel through a pipe of their own, because
encoder libraries print messages to standard output.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from workbench.errors import PluginError, StreamError, WorkbenchError
from workbench_plugins import ffmpeg_binary

FRAME_RATE = 30  # no picture's coding depends on it, but encoders want one

# A run may take START_S and so much a picture's pixel, a hundred times what the slowest encoder
# here (libvvenc, about 5 us a pixel) and decoder (0.2 us) were seen to take.
START_S = 60.0
ENCODE_S_PER_PIXEL = 5e-4
DECODE_S_PER_PIXEL = 2e-5

Options = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Raw:
    """Raw planar pictures: size in pixels, and ffmpeg's name of the pixel format."""

    width: int
    height: int
    pix_fmt: str
    frame_bytes: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


def encode(
    frames: bytes,
    raw: Raw,
    *,
    encoder: str,
    container: str,
    options: Options,
    threads: int = 1,
    codec: str = "ffmpeg",
) -> bytes:
    """Encode raw pictures, one after another, in one process.

    Args:
        frames: the planes of all pictures, a whole number of ``raw.frame_bytes``.
        raw: size and pixel format; the encoder gets the samples as they are.
        encoder: ffmpeg's name of the encoder, ``libvvenc``.
        container: ffmpeg's name of the stream format, ``vvc``.
        options: encoder options, without the leading dash.
        threads: processor threads the encoder may use.
        codec: the name that error messages start with.

    Returns:
        The coded stream, what the encoder wrote.

    Raises:
        PluginError: the encoder refused, died, or did not end in time.
    """
    program = ffmpeg_binary.path()
    count = len(frames) // raw.frame_bytes
    settings = {"c:v": encoder, "threads": threads, **options}
    coded, _ = _run(
        lambda output: _encoding(program, raw, container, settings, "error", output),
        frames,
        # No encoder here writes more than twice what it gets, not even of noise at full quality.
        max_bytes=2 * len(frames) + (1 << 20),
        timeout_s=START_S + ENCODE_S_PER_PIXEL * raw.pixels * count,
        fail=lambda why: PluginError(f"{codec}: encoding {raw.width}x{raw.height}: {why}"),
    )
    return coded


def decode(
    stream: bytes,
    raw: Raw,
    n_frames: int,
    *,
    container: str,
    decoder: str,
    threads: int = 1,
    codec: str = "ffmpeg",
) -> bytes:
    """Decode a stream to raw pictures in one process; damaged bytes are errors, as far as seen.

    Args:
        stream: bytes that may come from anywhere.
        raw: size and pixel format that every picture must have; nothing is converted.
        n_frames: the number of pictures that must come out.
        container, decoder: ffmpeg's names of the stream format and the decoder.
        threads: processor threads the decoder may use.
        codec: the name that error messages start with.

    Returns:
        ``n_frames * raw.frame_bytes`` bytes.

    Raises:
        StreamError: the decoder refused, died, did not end in time, or gave other pictures.
    """
    import ffmpeg

    program = ffmpeg_binary.path()
    # Decoders hold whole blocks of up to 128 x 128 samples; what needs more is not this picture.
    largest = (raw.width + 255) * (raw.height + 255)
    source = ffmpeg.input(
        "pipe:0",
        format=container,
        **{"c:v": decoder, "threads": threads, "err_detect": "explode", "max_pixels": largest},
    )
    expected = n_frames * raw.frame_bytes
    planes, _ = _run(
        lambda output: (
            source.output(output, format="rawvideo", fps_mode="passthrough", noautoscale=None)
            .global_args("-hide_banner", "-nostdin", "-loglevel", "error", "-xerror")
            .compile(cmd=program)
        ),
        stream,
        max_bytes=expected,
        timeout_s=START_S + DECODE_S_PER_PIXEL * raw.pixels * n_frames,
        fail=lambda why: StreamError(f"{codec}: the stream cannot be decoded: {why}"),
    )
    if len(planes) != expected:
        raise StreamError(
            f"{codec}: the stream holds {len(planes)} bytes of pictures, not the {expected} of "
            f"{n_frames} of {raw.width}x{raw.height}: it is cut or damaged"
        )
    return planes


@cache
def trial(
    path: str, encoder: str, container: str, raw: Raw, options: tuple[tuple[str, str | int], ...]
) -> bytes:
    """Encode one blank picture; return all that was said and written, to read versions from.

    Raises:
        PluginError: the encoder does not work with these options.
    """
    settings = {"c:v": encoder, "threads": 1, **dict(options)}
    coded, log = _run(
        lambda output: _encoding(path, raw, container, settings, "verbose", output),
        bytes(raw.frame_bytes),
        max_bytes=1 << 20,
        timeout_s=START_S,
        fail=lambda why: PluginError(f"{encoder}: does not work in {path}: {why}"),
    )
    return log.encode() + coded


def _encoding(
    program: str, raw: Raw, container: str, settings: Options, loglevel: str, output: str
) -> list[str]:
    import ffmpeg

    source = ffmpeg.input(
        "pipe:0",
        format="rawvideo",
        pix_fmt=raw.pix_fmt,
        video_size=(raw.width, raw.height),
        framerate=FRAME_RATE,
    )
    command: list[str] = (
        source.output(output, format=container, **settings)
        .global_args("-hide_banner", "-nostdin", "-loglevel", loglevel)
        .compile(cmd=program)
    )
    return command


def _run(
    command: Callable[[str], list[str]],
    data: bytes,
    *,
    max_bytes: int,
    timeout_s: float,
    fail: Callable[[str], WorkbenchError],
) -> tuple[bytes, str]:
    """Run ffmpeg: ``data`` to its standard input, at most ``max_bytes`` from its output pipe.

    ``command`` makes the command line from the output's name. Returns the output and the log.
    """
    read_end, write_end = os.pipe()
    try:
        child = subprocess.Popen(
            command(f"pipe:{write_end}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(write_end,),
        )
    except OSError as error:
        os.close(read_end)
        raise fail(f"ffmpeg cannot be started ({error.strerror})") from None
    finally:
        os.close(write_end)
    received: list[bytes] = []
    overrun = threading.Event()

    def collect() -> None:
        room = max_bytes
        with open(read_end, "rb", buffering=0) as pipe:
            while piece := pipe.read(1 << 20):
                room -= len(piece)
                if room < 0:
                    overrun.set()
                    child.kill()
                    return
                received.append(piece)

    collector = threading.Thread(target=collect, daemon=True)
    collector.start()
    try:
        said, _ = child.communicate(data, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise fail(f"ffmpeg did not end within {timeout_s:.0f} s and was stopped") from None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
        collector.join()
    log = said.decode(errors="replace")
    if overrun.is_set():
        raise fail(f"ffmpeg wrote more than the {max_bytes} bytes that can be right")
    if child.returncode:
        raise fail(f"ffmpeg {_ending(child.returncode)}{_reason(log)}")
    return b"".join(received), log


def _ending(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"


def _reason(log: str) -> str:
    # The first line names the cause; the ones behind it are the stages that then gave up.
    lines = [re.sub(r"\[[^]]* @ 0x[0-9a-f]+\]", "", line).strip() for line in log.splitlines()]
    first = next((line for line in lines if line), "")
    return f": {first[:200]}" if first else ""
