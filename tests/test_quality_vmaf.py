"""VMAF: the outside value, independence of batches, and what goes wrong."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from workbench.errors import ImageError, PluginError
from workbench_plugins import ffmpeg_binary
from workbench_plugins.tasks.quality import vmaf


def noisy_pair(height, width, seed=0):
    rng = np.random.default_rng(seed)
    original = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    noise = rng.normal(0, 12, original.shape)
    return original, np.clip(np.rint(original + noise), 0, 255).astype(np.uint8)


def flat(value, height, width):
    return np.full((height, width, 3), value, np.uint8)


def photograph():
    from skimage import data

    return data.astronaut()[:192, 128:384]


def jpeg(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def one(task, original, image):
    return task().compare([original], [image])[0]


def test_vmaf_of_equal_flat_pictures_is_the_models_value_at_full_fidelity():
    # ADM = VIF = 1 and motion 0 give 97.428043 in the golden values of libvmaf's users.
    assert one(vmaf.Vmaf, flat(90, 64, 64), flat(90, 64, 64))["vmaf"] == pytest.approx(
        97.428043, abs=1e-4
    )


def test_vmaf_of_a_picture_does_not_depend_on_its_neighbours_in_a_batch():
    first = photograph()
    originals = [first, first[::-1], first[:, ::-1], 255 - first]
    decoded = [jpeg(picture, 25) for picture in originals]
    together = vmaf.Vmaf().compare(originals, decoded)
    alone = [one(vmaf.Vmaf, *pair) for pair in zip(originals, decoded, strict=True)]
    assert together == alone
    assert 0 < min(row["vmaf"] for row in together) < 97


def test_vmaf_rises_with_quality():
    original = photograph()[:101, :99]  # odd sides: chroma planes are rounded up
    decoded = [jpeg(original, quality) for quality in (5, 20, 50, 90)]
    values = [row["vmaf"] for row in vmaf.Vmaf().compare([original] * 4, decoded)]
    assert values == sorted(values)
    assert values[0] < 50 < 80 < values[-1]


def test_vmaf_gets_limited_range_luma():
    # 16 + 219 * luma / 255: white 235, black 16, and full green .7152 * 219 + 16 = 172.63 -> 173.
    picture = np.array([[[255] * 3, [0] * 3, [0, 255, 0]]], np.uint8)
    assert vmaf._luma_frame(picture) == bytes([235, 16, 173, 128, 128, 128, 128])


def test_vmaf_has_no_value_where_libvmaf_would_crash():
    original, image = noisy_pair(17, 40)
    assert 0 <= one(vmaf.Vmaf, original, image)["vmaf"] <= 100
    with pytest.raises(ImageError, match="40x16 has a side shorter than 17"):
        one(vmaf.Vmaf, original[:16], image[:16])


def fake_ffmpeg(tmp_path, monkeypatch, script):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("WORKBENCH_FFMPEG", str(program))


def test_vmaf_says_when_ffmpeg_is_missing_fails_or_hangs(tmp_path, monkeypatch):
    pair = noisy_pair(32, 32)
    monkeypatch.setenv("WORKBENCH_FFMPEG", str(tmp_path / "none"))
    with pytest.raises(PluginError, match=r"WORKBENCH_FFMPEG=.*none: no such program"):
        one(vmaf.Vmaf, *pair)

    fake_ffmpeg(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(PluginError, match="does not run"):
        one(vmaf.Vmaf, *pair)

    fake_ffmpeg(tmp_path, monkeypatch, '[ "$2" = -filters ] && exit 0; echo broken >&2; exit 3')
    ffmpeg_binary._ask.cache_clear()
    with pytest.raises(PluginError, match="built without libvmaf"):
        one(vmaf.Vmaf, *pair)

    fake_ffmpeg(tmp_path, monkeypatch, "exec sleep 30")
    monkeypatch.setattr(vmaf, "TIMEOUT_S", 0.2)
    with pytest.raises(PluginError, match=r"did not end within 0.2 s"):
        one(vmaf.Vmaf, *pair)


def test_vmaf_versions_name_the_ffmpeg_program(tmp_path, monkeypatch):
    assert set(vmaf.Vmaf.versions()) == {"ffmpeg", "ffmpeg-python", "imageio-ffmpeg"}
    fake_ffmpeg(tmp_path, monkeypatch, "echo ffmpeg version 4.2-mine Copyright")
    ffmpeg_binary._ask.cache_clear()
    ffmpeg_binary._version.cache_clear()
    assert vmaf.Vmaf.versions()["ffmpeg"] == "4.2-mine"
