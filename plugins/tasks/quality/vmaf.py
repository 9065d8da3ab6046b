"""VMAF, computed by the libvmaf inside the ffmpeg program."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import workbench
from workbench.errors import ImageError, PluginError
from workbench_plugins import ffmpeg_binary

if TYPE_CHECKING:
    from workbench.api import Picture

# Motion is what the frame before adds to a frame's score. A still has none, and with it a
# picture's value would depend on its neighbours in a batch: identical pictures score 100 instead
# of 97.4 behind a different one.
MODEL = "version=vmaf_v0.6.1:motion.motion_force_zero=true"
SMALLEST_SIDE = 17  # libvmaf reads outside its buffers and dies below this (libvmaf issue 1607)
TIMEOUT_S = 600


class Vmaf(workbench.QualityTask):
    """VMAF of still pictures, model vmaf_v0.6.1, from 0 to 100.

    The model judges luma alone: BT.709, limited range, rounded to 8 bits; chroma is sent grey.
    Its motion feature is held at zero, which is what libvmaf gives a single frame. The model was
    trained on 1080p video, and equal pictures score about 97.4, not 100.
    """

    name = "vmaf"
    citation = "Li, Aaron, Katsavounidis, Moorthy, Manohara, Netflix Technology Blog, 2016"
    requires = ("ffmpeg-python", "imageio-ffmpeg")
    batch = 16
    metrics = (
        workbench.Metric("vmaf", "VMAF", "VMAF v0.6.1, motion held at zero", limits=(0, 100)),
    )

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Versions of the libraries and of the ffmpeg program."""
        return super().versions() | {"ffmpeg": ffmpeg_binary.version()}

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return VMAF a pair of pictures, uint8 ``[H, W, 3]`` of one size, from one process.

        Raises:
            ImageError: a side is shorter than 17 pixels.
            PluginError: the ffmpeg program fails or has no libvmaf.
        """
        height, width = originals[0].shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"vmaf: {width}x{height} has a side shorter than {SMALLEST_SIDE}: "
                "libvmaf gives no value for this picture"
            )
        # A folder of its own, so that no path has to be quoted for the filter's options.
        with tempfile.TemporaryDirectory(prefix="vmaf-") as folder:
            for name, pictures in (("original.yuv", originals), ("image.yuv", images)):
                with Path(folder, name).open("wb") as file:
                    for picture in pictures:
                        file.write(_luma_frame(picture))
            _run(_command(width, height, self.threads), folder)
            log: dict[str, Any] = json.loads(Path(folder, "log.json").read_text())
        values = [float(frame["metrics"]["vmaf"]) for frame in log["frames"]]
        if len(values) != len(originals):
            raise PluginError(f"vmaf: libvmaf scored {len(values)} of {len(originals)} pictures")
        return [{"vmaf": value} for value in values]


def _luma_frame(picture: Picture) -> bytes:
    """Return a yuv420p frame of a picture: its luma, 16..235, and grey chroma."""
    import numpy as np

    from workbench.images import RGB_TO_YCBCR

    luma = np.rint(16 + picture @ (RGB_TO_YCBCR[0] * (219 / 255))).astype(np.uint8)
    height, width = luma.shape
    return luma.tobytes() + bytes([128]) * (2 * -(-height // 2) * -(-width // 2))


def _command(width: int, height: int, threads: int) -> list[str]:
    import ffmpeg

    raw = {"f": "rawvideo", "pix_fmt": "yuv420p", "s": f"{width}x{height}", "r": 25}
    scored = ffmpeg.filter(
        [ffmpeg.input("image.yuv", **raw), ffmpeg.input("original.yuv", **raw)],
        "libvmaf",
        model=MODEL,
        n_threads=threads,
        log_fmt="json",
        log_path="log.json",
    )
    output = ffmpeg.output(scored, "-", f="null").global_args("-nostdin", "-loglevel", "error")
    return list(ffmpeg.compile(output, cmd=ffmpeg_binary.path()))


def _run(command: list[str], folder: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise PluginError(f"vmaf: ffmpeg did not end within {TIMEOUT_S} s") from None
    if done.returncode != 0:
        if "libvmaf" not in ffmpeg_binary.listing("filters"):
            raise PluginError(
                f"vmaf: {command[0]} was built without libvmaf: unset {ffmpeg_binary.SETTING} to "
                "use the one of imageio-ffmpeg"
            )
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PluginError(f"vmaf: ffmpeg ended with {done.returncode}: {last}")


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [Vmaf]
