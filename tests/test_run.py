"""Whole runs: measuring, resuming, layers and outputs, faults, provenance."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

import workbench
from workbench import images, progress, registry, rows
from workbench.container import Stream
from workbench.errors import WorkbenchError
from workbench.runner import Options, execute
from workbench.store import Store
from workbench.timing import in_batches

PluginFile = Callable[[str, str], Path]
GOOD = (
    "    def encode(self, image, point):\n        return image.tobytes() + bytes(point.level)\n"
    "    def decode(self, stream, output):\n"
    "        return np.frombuffer(stream[:96 * 128 * 3], np.uint8).reshape(96, 128, 3)"
)


def test_rates_and_psnr_are_those_of_the_bytes_themselves(photos: Path) -> None:
    frame = workbench.run("jpeg@quality50", "psnr", f"folder:{photos}")
    assert list(frame["image"]) == ["coffee.png", "astronaut.png", "chelsea.png"] or len(frame) == 3
    for row in frame.to_dict("records"):
        picture = images.read(photos / row["image"])
        data = imagecodecs.jpeg8_encode(picture, level=50, subsampling="420")
        decoded = imagecodecs.jpeg8_decode(data)
        mse = np.mean((picture.astype(float) - decoded) ** 2)
        assert row["n_bytes"] == len(data)
        assert row["rate_bpp"] == 8 * len(data) / (row["width"] * row["height"])
        assert row["psnr_rgb"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-6)
        # The container adds magic 3, version 1, names 1 + 4 and 1 + 9, sizes 8, count 1,
        # one layer 1 + 4 + 8 + 4, checksum 4.
        assert row["container_bytes"] - row["n_bytes"] == 49
        assert row["encode_s"] > 0
        assert row["decode_s"] > 0


def test_a_second_call_redoes_nothing_and_a_wider_one_only_what_is_new(
    photos: Path, tmp_path: Path
) -> None:
    base = Options("jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run")
    assert execute(base).n_measured == 3
    before = rows.load(tmp_path / "run").images
    again = execute(base)
    assert (again.n_measured, again.n_done_before) == (0, 3)
    wider = execute(Options("jpeg@50,jpeg@75", "psnr,ssim", f"folder:{photos}", tmp_path / "run"))
    assert wider.n_measured == 6  # three new points, and SSIM of the three old ones
    after = rows.load(tmp_path / "run").images
    old = after[after["point"] == "quality50"]
    # The old streams were not coded again: their times are the ones measured first.
    assert sorted(old["encode_s"]) == sorted(before["encode_s"])
    assert after["ssim_y"].notna().all()
    assert len(after) == 6


def test_a_changed_picture_or_plugin_is_measured_again(
    photos: Path, tmp_path: Path, plugin_file: PluginFile
) -> None:
    file = plugin_file("plain", GOOD.replace("96 * 128 * 3", "-point.level").replace(
        "stream[:-point.level]", "stream[:96 * 128 * 3]"))  # fmt: skip
    options = Options("plain@level1", "psnr", f"folder:{photos}", tmp_path / "run",
                      plugins=(str(file),))  # fmt: skip
    assert execute(options).n_measured == 2  # it decodes to 96x128 alone: one of three fails
    assert execute(options).n_measured == 0
    picture = images.read(photos / "chelsea.png")
    images.write(photos / "chelsea.png", 255 - picture)
    assert execute(options).n_measured == 1
    code = "from workbench.runner import *\n" + f"print(execute({options!r}).n_measured)".replace(
        "PosixPath", "__import__('pathlib').Path"
    )

    def measured_elsewhere() -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        return done.stdout.strip()

    file.write_text("# a comment changes no result\n" + file.read_text())
    assert measured_elsewhere() == "0"
    file.write_text(file.read_text().replace("bytes(point.level)", "bytes(point.level + 1)"))
    assert measured_elsewhere() == "2"
    # The rows are those of the newest code: a byte more than level 1's.
    frame = rows.load(tmp_path / "run").images
    assert len(frame) == 3
    decoded = frame[frame["error"].isna()]
    assert list(decoded["n_bytes"] - 3 * decoded["width"] * decoded["height"]) == [2, 2]


@pytest.mark.parametrize("strict", [False, True])
def test_layers_are_counted_and_handed_out_per_output(
    photos: Path, tmp_path: Path, two_layers: Path, strict: bool
) -> None:
    execute(
        Options(
            "two-layers@step4", "psnr,brightness", f"folder:{photos}", tmp_path / "run",
            plugins=(str(two_layers),), strict=strict, workers=int(strict),
        )
    )  # fmt: skip
    found = rows.load(tmp_path / "run")
    frame = found.images.set_index(["image", "output"])
    store = Store(tmp_path / "run")
    for image in ("astronaut.png", "chelsea.png", "coffee.png"):
        machine, human = frame.loc[(image, "machine")], frame.loc[(image, "human")]
        layers = Stream.from_bytes(store.blob(human["stream"])).layers
        assert machine["n_bytes"] == len(layers["base"])
        assert human["n_bytes"] == len(layers["base"]) + len(layers["enhancement"])
        assert machine["needs"] == "base"
        # The step of 4 errs by at most 2 in every sample, so MSE <= 4: at least 42.1 dB.
        assert human["psnr_rgb"] > 42.1
        assert np.isnan(machine["psnr_rgb"])  # quality is for the human output
    sets = found.sets.set_index("output")
    assert list(sets.index) == ["machine"]
    bright = [images.read(photos / f"{n}.png")[::2, ::2].mean() > 100
              for n in ("astronaut", "chelsea", "coffee")]  # fmt: skip
    assert sets.loc["machine", "value"] == pytest.approx(sum(bright) / 3)
    assert sets.loc["machine", "n_images"] == 3


def test_all_outputs_pairs_every_task_with_every_output(
    photos: Path, tmp_path: Path, two_layers: Path
) -> None:
    execute(
        Options(
            "two-layers@step4", "psnr,brightness", f"folder:{photos}", tmp_path / "run", limit=1,
            plugins=(str(two_layers),), all_outputs=True,
        )
    )  # fmt: skip
    found = rows.load(tmp_path / "run")
    assert found.images["psnr_rgb"].notna().all()
    assert sorted(found.sets["output"]) == ["human", "machine"]


def test_lossless_pictures_have_no_psnr_but_a_reason(
    photos: Path, tmp_path: Path, plugin_file: PluginFile
) -> None:
    file = plugin_file("plain", GOOD)
    execute(Options("plain@level1", "psnr", f"folder:{photos}", tmp_path / "run",
                    plugins=(str(file),)))  # fmt: skip
    scores = rows.load(tmp_path / "run").scores
    valued = scores[scores["metric"] == "psnr_rgb"]
    assert valued["value"].isna().all()
    assert set(valued["reason"]) == {"identical pictures"}


FAULTS = {
    "raises": ("raise ValueError('bad picture')", "ValueError: bad picture"),
    "returns-text": ("return 'text'", "layer 'main' is str, must be bytes"),
    "returns-layers": ("return {'a': b'', 'b': b''}", "encode gave layers"),
    "dies": ("os.kill(os.getpid(), signal.SIGSEGV)", "its process died with signal 11"),
    "exits": ("os._exit(3)", "its process died with exit code 3"),
    "leaves-slowly": (
        "import atexit, sys; atexit.register(time.sleep, 0.5); sys.exit('enough')",
        "its process died with exit code 1: enough",
    ),
    "hangs": ("time.sleep(60)", "took longer than 3 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_faulty_picture_fails_alone(
    photos: Path, tmp_path: Path, plugin_file: PluginFile, fault: str
) -> None:
    statement, message = FAULTS[fault]
    (photos / "coffee.png").unlink()
    # Only the picture whose first sample is that of chelsea is hit.
    first = {n: int(images.read(photos / f"{n}.png")[0, 0, 0]) for n in ("chelsea", "astronaut")}
    assert first["chelsea"] != first["astronaut"]
    hit = f"        if image[0, 0, 0] == {first['chelsea']}: {statement}\n"
    file = plugin_file("faulty", GOOD.replace("        return image", f"{hit}        return image"))
    options = Options(
        "faulty@level1,jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run",
        plugins=(str(file),), workers=1, timeout_s=3,
    )  # fmt: skip
    summary = execute(options)
    assert (summary.n_cells, summary.n_measured, summary.n_failed) == (4, 3, 1)
    frame = rows.load(tmp_path / "run").images.set_index(["codec", "image"])
    failed = frame.loc[("faulty", "chelsea.png")]
    assert message in failed["error"]
    assert np.isnan(failed["rate_bpp"])
    others = frame.drop(index=("faulty", "chelsea.png"))
    assert others["error"].isna().all()
    assert (others["rate_bpp"] > 0).all()
    again = execute(options)
    assert (again.n_measured, again.n_failed_before) == (0, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "gave NoneType, must be a list of 1"),
        (np.zeros(1), "gave ndarray, must be a list of 1"),
        ([b"", b""], "gave 2 results for 1 pictures"),
    ],
)
def test_a_batch_that_is_no_list_or_of_another_length_is_told(given: object, message: str) -> None:
    [result] = in_batches(lambda some: given, ["picture"], 1, "cpu")  # type: ignore[arg-type,return-value]
    assert str(result) == message


def test_a_decoder_that_gives_the_wrong_size_fails_by_name(
    photos: Path, tmp_path: Path, plugin_file: PluginFile
) -> None:
    body = GOOD.replace("reshape(96, 128, 3)", "reshape(128, 96, 3)")
    file = plugin_file("turned", body)
    execute(Options("turned@level1", "psnr", f"folder:{photos}", tmp_path / "run", limit=1,
                    plugins=(str(file),)))  # fmt: skip
    [error] = rows.load(tmp_path / "run").images["error"]
    assert error == "turned: gave uint8 [128, 96, 3], must be uint8 [96, 128, 3]"


def test_a_picture_that_cannot_be_read_fails_alone(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes((photos / "chelsea.png").read_bytes()[:500])
    (photos / "text.png").write_text("no picture")
    options = Options("jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run")
    first = execute(options)
    assert (first.n_cells, first.n_measured, first.n_failed) == (5, 3, 2)
    again = execute(options)
    assert (again.n_cells, again.n_done_before, again.n_failed_before) == (5, 3, 2)
    assert (again.n_measured, again.n_failed) == (0, 0)
    frame = rows.load(tmp_path / "run").images.set_index("image")
    assert frame["psnr_rgb"].notna().sum() == 3
    assert "cut or damaged picture" in frame.loc["broken.png", "error"]
    assert "not a picture that can be read" in frame.loc["text.png", "error"]


MOODY = """
class Moody(workbench.QualityTask):
    '''Fails on bad days.'''
    name = "moody"
    metrics = (workbench.Metric("mood", "Mood", "how it is"),)

    def compare(self, originals, images):
        if os.environ.get("BAD_DAY"):
            raise ValueError("not today")
        return [{"mood": 1.0} for _ in images]

@workbench.hookimpl
def workbench_tasks():
    return [Moody]
"""


def test_a_failed_measure_is_told_until_it_is_tried_again_and_succeeds(
    photos: Path, tmp_path: Path, plugin_file: PluginFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = plugin_file("moody_codec", GOOD)
    file.write_text(file.read_text() + MOODY)
    options = Options(
        "jpeg@50", "moody", f"folder:{photos}", tmp_path / "run", limit=1, plugins=(str(file),)
    )
    monkeypatch.setenv("BAD_DAY", "1")
    assert execute(options).n_failed == 1
    assert progress.status(Store(tmp_path / "run"))["errors"] == {"ValueError: not today": 1}
    monkeypatch.delenv("BAD_DAY")
    again = execute(options)
    assert (again.n_measured, again.n_done_before, again.n_failed_before) == (0, 0, 1)
    assert execute(replace(options, retry_failed=True)).n_measured == 1
    calm = execute(options)
    assert (calm.n_done_before, calm.n_failed_before) == (1, 0)
    assert progress.status(Store(tmp_path / "run"))["n_failed"] == 0


def test_a_damaged_stream_is_coded_again(photos: Path, tmp_path: Path) -> None:
    base = Options("jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run")
    execute(base)
    store = Store(tmp_path / "run")
    stream = rows.load(tmp_path / "run").images["stream"].iloc[0]
    (tmp_path / "run" / "blobs" / stream[:1] / stream[1:]).write_bytes(b"rot")
    execute(Options("jpeg@50", "psnr,ssim", f"folder:{photos}", tmp_path / "run"))
    assert rows.load(tmp_path / "run").images["ssim_y"].notna().all()
    assert store.blob(stream)
    assert store.frame("coded")["stream"].nunique() == 3


def test_serial_and_worker_processes_give_the_same_rows(photos: Path, tmp_path: Path) -> None:
    timed = ["encode_s", "decode_s", "workers"]
    frames = []
    for workers in (0, 2):
        out = tmp_path / f"run{workers}"
        execute(Options("jpeg,webp", "psnr", f"folder:{photos}", out, workers=workers))
        frame = rows.load(out).images.drop(columns=timed)
        frames.append(frame.sort_values(["key", "output"]).reset_index(drop=True))
    assert frames[0].equals(frames[1])


def test_provenance_says_how_to_do_it_again(photos: Path, tmp_path: Path) -> None:
    execute(Options("jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run"))
    [run] = rows.load(tmp_path / "run").runs.values()
    assert run["workbench"] == workbench.__version__
    assert run["arguments"]["codecs"] == "jpeg@50"
    assert run["dataset"]["n_images"] == 3
    assert run["plugins"]["jpeg"]["versions"]["imagecodecs"]
    assert len(run["plugins"]["jpeg"]["code"]) == 32
    assert run["cores"] == os.cpu_count()


def test_nothing_is_lost_when_the_host_is_killed(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workbench", "run", "--codecs", "jpeg,webp", "--tasks", "psnr",
               "--dataset", f"folder:{photos}", "--out", str(tmp_path / "run")]  # fmt: skip
    host = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(path.stat().st_size for path in (tmp_path / "run").glob("journal-*")):
            break
        time.sleep(0.002)
    host.send_signal(signal.SIGKILL)
    host.wait()
    kept = set(Store(tmp_path / "run").table("decoded", ["key"]).to_pydict()["key"])
    assert kept
    summary = execute(Options("jpeg,webp", "psnr", f"folder:{photos}", tmp_path / "run"))
    assert summary.n_done_before + summary.n_measured == summary.n_cells
    assert summary.n_done_before >= len(kept) - 4  # a job in flight may have lacked its scores
    assert rows.load(tmp_path / "run").images["psnr_rgb"].notna().all()


def test_a_task_without_its_ground_truth_is_refused_if_named(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "boxes.py"
    file.write_text(
        "import workbench\n"
        "class Boxes(workbench.Task):\n"
        "    name = 'boxes-task'\n    target = 'boxes'\n"
        "    metrics = (workbench.Metric('m', 'M', 'm', pool='set'),)\n"
        "@workbench.hookimpl\ndef workbench_tasks():\n    return [Boxes]\n"
    )
    options = Options("jpeg@50", "boxes-task", f"folder:{photos}", tmp_path / "run",
                      plugins=(str(file),))  # fmt: skip
    with pytest.raises(WorkbenchError, match="'boxes'; .* --reference self"):
        execute(options)


def test_demo_pictures_are_the_shipped_photographs_cropped() -> None:
    dataset = registry.load().dataset("demo")
    names = [item.name for item in dataset.items()]
    assert names == ["astronaut", "chelsea", "china", "coffee", "flower", "grace_hopper",
                     "motorcycle_left", "retina", "rocket"]  # fmt: skip
    assert all(max(item.width, item.height) <= 512 for item in dataset.items())
