"""Fixtures that several tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Small pictures gain nothing from threads, and tests run several processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Learned codecs' encoders decode every stream they make, and compare.
os.environ.setdefault("WORKBENCH_VERIFY", "1")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that lies beside the project on its builders' machines only."""
    if not SHARED.is_dir():
        pytest.skip("the data beside the project (../shared) is not here")
    return SHARED


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three small real photographs, two of one size."""
    from skimage import data

    from workbench import images

    folder = tmp_path / "photos"
    folder.mkdir()
    images.write(folder / "astronaut.png", data.astronaut()[:96, 128:256])
    images.write(folder / "chelsea.png", data.chelsea()[100:196, 100:228])
    images.write(folder / "coffee.png", data.coffee()[100:171, 200:301])
    return folder


@pytest.fixture
def grey_picture() -> np.ndarray:
    return np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture
def workbench_cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command line in ``tmp_path``; its output, and JSON if asked for."""

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workbench", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            **options,  # type: ignore[call-overload]
        )

    return call


@pytest.fixture
def two_layers(tmp_path: Path) -> Path:
    """A plugin file with a codec of two layers and two outputs, and tasks for its audiences."""
    file = tmp_path / "two_layers.py"
    file.write_text(TWO_LAYERS)
    return file


TWO_LAYERS = '''
import struct, zlib
import numpy as np
import workbench


class TwoLayers(workbench.Codec):
    """Half resolution as base, the difference to the original as enhancement."""

    name = "two-layers"
    points = workbench.points("step", [16, 4, 2], limits=(1, 64))
    layers = ("base", "enhancement")
    outputs = {
        "machine": workbench.Output(("base",), "machine"),
        "human": workbench.Output(("base", "enhancement"), "human"),
    }

    def encode(self, image, point):
        height, width = image.shape[:2]
        small = image[::2, ::2]
        head = struct.pack("<HHB", height, width, point.step)
        difference = image.astype(int) - self._grow(small, height, width)
        coded = np.rint(difference / point.step).astype(np.int16)
        return {"base": head + zlib.compress(small.tobytes()),
                "enhancement": zlib.compress(coded.tobytes())}

    def decode(self, stream, output):
        height, width, step = struct.unpack_from("<HHB", stream["base"])
        shape = ((height + 1) // 2, (width + 1) // 2, 3)
        raw = zlib.decompress(stream["base"][5:], bufsize=64)
        base = self._grow(np.frombuffer(raw, np.uint8).reshape(shape), height, width)
        if output == "machine":
            return base
        assert output == "human"
        coded = np.frombuffer(zlib.decompress(stream["enhancement"]), np.int16)
        return np.clip(base + step * coded.reshape(base.shape).astype(int), 0, 255).astype(np.uint8)

    def _grow(self, small, height, width):
        return small.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


class Brightness(workbench.Task):
    """Is the picture bright? A machine's task with a ground truth of its own prediction."""

    name = "brightness"
    metrics = (workbench.Metric("bright_share", "Bright", "share of bright pictures", pool="set"),)

    def predict(self, images):
        return [{"mean": float(image.mean()), "shape": np.array(image.shape)} for image in images]

    def evaluate(self, predictions, targets):
        return {"bright_share": sum(p["mean"] > 100 for p in predictions) / len(predictions)}


@workbench.hookimpl
def workbench_codecs():
    return [TwoLayers]


@workbench.hookimpl
def workbench_tasks():
    return [Brightness]
'''


@pytest.fixture
def plugin_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a plugin file with one codec whose methods have the given bodies."""

    def write(name: str, body: str) -> Path:
        file = tmp_path / f"{name}.py"
        file.write_text(
            "import os, signal, time\nimport numpy as np\nimport workbench\n\n"
            "class Faulty(workbench.Codec):\n"
            f"    name = {json.dumps(name)}\n"
            "    points = workbench.points('level', [1, 2])\n"
            f"{body}\n\n"
            "@workbench.hookimpl\ndef workbench_codecs():\n    return [Faulty]\n"
        )
        return file

    return write
