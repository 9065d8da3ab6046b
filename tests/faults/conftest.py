"""A run that is quick to do and slow enough to be disturbed, and the rows it must end with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import images, rows
from workbench.runner import Options, execute

N_IMAGES = 12
N_POINTS = 5
PLUGIN = '''
import os, time, zlib
import numpy as np
import workbench

class Tiny(workbench.Codec):
    """Fewer levels of grey, deflated."""
    name = "tiny"
    points = workbench.points("step", [64, 32, 16, 8, 4])

    def encode(self, image, point):
        time.sleep(float(os.environ.get("TINY_S", "0")))
        return bytes(image.shape[:2]) + bytes([point.step]) + zlib.compress(image // point.step)

    def decode(self, stream, output):
        grey = np.frombuffer(zlib.decompress(stream[3:]), np.uint8) * np.uint8(stream[2])
        return grey.reshape(stream[0], stream[1], 3)

class Mean(workbench.Task):
    """Mean grey, to have predictions and scores of sets."""
    name = "mean-grey"
    metrics = (workbench.Metric("grey", "Grey", "mean grey", pool="set"),)

    def predict(self, images):
        return [{"mean": float(image.mean())} for image in images]

    def evaluate(self, predictions, targets):
        return {"grey": sum(p["mean"] for p in predictions) / len(predictions)}

@workbench.hookimpl
def workbench_codecs():
    return [Tiny]

@workbench.hookimpl
def workbench_tasks():
    return [Mean]
'''


@dataclass(frozen=True)
class Comparison:
    """A run of 60 cells: ``options`` for this process, ``command`` for another."""

    options: Options
    expected: tuple[pd.DataFrame, pd.DataFrame]

    @property
    def n_cells(self) -> int:
        return N_IMAGES * N_POINTS

    def into(self, out: Path, **changes: object) -> Options:
        return replace(self.options, out=out, **changes)  # type: ignore[arg-type]

    def command(self, out: Path, *more: object) -> Sequence[str]:
        return [
            sys.executable, "-m", "workbench", "run", "--codecs", str(self.options.codecs),
            "--tasks", str(self.options.tasks), "--dataset", self.options.dataset,
            "--plugin", self.options.plugins[0], "--out", str(out), *map(str, more),
        ]  # fmt: skip

    def host(self, out: Path, *more: object, **options: object) -> subprocess.Popen[str]:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            self.command(out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            **options,
        )  # fmt: skip

    def plain_host(self, out: Path) -> subprocess.Popen[str]:
        """A host without command line and workers, which begins in half the time."""
        program = "from pathlib import *; from workbench.runner import *; "
        return subprocess.Popen(
            [sys.executable, "-c", f"{program}execute({self.into(out)!r})"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def assert_as_undisturbed(self, out: Path) -> None:
        """Every row and every set's score is there once, with the values of a calm run."""
        for found, expected in zip(results(out), self.expected, strict=True):
            pd.testing.assert_frame_equal(found, expected)


def results(out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a run found out, without what no two runs share: times, workers, sizes of batches."""
    found = rows.load(out)
    timing = ["encode_s", "decode_s", "batch", "workers"]
    table = found.images.drop(columns=timing).sort_values(["key", "output"])
    sets = found.sets.drop(columns=["run", "resamples"]).sort_values(["key", "metric"])
    return table.reset_index(drop=True), sets.reset_index(drop=True)


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(7)
    for index in range(N_IMAGES):
        images.write(
            folder / "pictures" / f"{index}.png", rng.integers(0, 256, (24, 32, 3), np.uint8)
        )
    (folder / "tiny.py").write_text(PLUGIN)
    options = Options(
        "tiny", "psnr,mean-grey", f"folder:{folder / 'pictures'}", folder / "calm",
        plugins=(str(folder / "tiny.py"),),
    )  # fmt: skip
    execute(options)
    expected = results(folder / "calm")
    assert len(expected[0]) == N_IMAGES * N_POINTS
    assert expected[0]["psnr_rgb"].notna().all()
    assert len(expected[1]) == N_POINTS
    return Comparison(options, expected)


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make a cell take that many seconds, here and in child processes."""
    return lambda seconds: monkeypatch.setenv("TINY_S", str(seconds))


def children_of(pid: int) -> list[int]:
    if not Path("/proc").is_dir():
        pytest.skip("lists processes through /proc")
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended in between
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
