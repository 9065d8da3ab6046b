"""The quality measures against hand arithmetic and outside values."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench import images
from workbench.errors import ImageError
from workbench_plugins.tasks.quality import (
    dists,
    lpips,
    ms_ssim,
    psnr,
    ssim,
    vmaf,
)

SHARED = Path(__file__).parents[2] / "shared"
MODULES = (psnr, ssim, ms_ssim, vmaf, lpips, dists)


def noisy_pair(height, width, seed=0):
    rng = np.random.default_rng(seed)
    original = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    noise = rng.normal(0, 12, original.shape)
    return original, images.to_uint8(original + noise)


def flat(value, height, width):
    return np.full((height, width, 3), value, np.uint8)


def one(task, original, image):
    return task().compare([original], [image])[0]


# PSNR


def test_psnr_of_two_pixels_is_the_one_worked_out_by_hand():
    original = np.array([[[10, 20, 30], [0, 0, 12]]], np.uint8)
    image = np.array([[[13, 16, 30], [0, 0, 0]]], np.uint8)
    # Differences: (-3, 4, 0) and (0, 0, 12).
    # RGB: (9 + 16 + 144) / 6 = 28.1666667 -> 10 log10(65025 / 28.1666667) = 33.633449 dB.
    # Y: -3 * .2126 + 4 * .7152 = 2.223; 12 * .0722 = .8664;
    #    MSE (4.941729 + .750649) / 2 = 2.846189 -> 43.588166 dB.
    # Cb = (B - Y) / 1.8556: -1.197995, 6; MSE (1.435193 + 36) / 2 = 18.717596 -> 35.408303 dB.
    # Cr = (R - Y) / 1.5748: -3.316612, -.550165;
    #    MSE (10.999912 + .302682) / 2 = 5.651297 -> 40.609322 dB.
    # YUV: (6 * 43.588166 + 35.408303 + 40.609322) / 8 = 42.193328 dB.
    values = one(psnr.Psnr, original, image)
    assert values["psnr_rgb"] == pytest.approx(33.633449, abs=1e-5)
    assert values["psnr_y"] == pytest.approx(43.588166, abs=1e-5)
    assert values["psnr_yuv"] == pytest.approx(42.193328, abs=1e-5)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 2), (3, 1), (37, 53), (32, 32), (129, 131), (200, 301)]
)
def test_psnr_equals_that_of_scikit_image_and_of_float_planes(height, width):
    from skimage.metrics import peak_signal_noise_ratio

    original, image = noisy_pair(height, width)
    values = one(psnr.Psnr, original, image)
    assert values["psnr_rgb"] == pytest.approx(
        peak_signal_noise_ratio(original, image, data_range=255), abs=1e-9
    )
    error = images.to_ycbcr(original) - images.to_ycbcr(image)
    y, cb, cr = (10 * math.log10(255**2 / mse) for mse in (error**2).mean((0, 1)))
    assert values["psnr_y"] == pytest.approx(y, abs=1e-9)
    assert values["psnr_yuv"] == pytest.approx((6 * y + cb + cr) / 8, abs=1e-9)


def test_psnr_uses_the_matrix_that_pictures_are_converted_with():
    rows = [np.array(row) / unit for row, unit in (psnr.LUMA, psnr.BLUE, psnr.RED)]
    np.testing.assert_allclose(rows, images.RGB_TO_YCBCR, atol=1e-15)


def test_psnr_of_equal_pictures_is_infinite_and_of_grey_ones_has_no_chroma_error():
    original, _ = noisy_pair(5, 7)
    assert set(one(psnr.Psnr, original, original).values()) == {math.inf}
    values = one(psnr.Psnr, flat(100, 9, 9), flat(110, 9, 9))
    # Every difference is 10: 10 log10(65025 / 100) = 28.130804 dB in RGB and in Y.
    assert values["psnr_rgb"] == pytest.approx(28.130804, abs=1e-6)
    assert values["psnr_y"] == pytest.approx(28.130804, abs=1e-6)
    assert values["psnr_yuv"] == math.inf


def test_psnr_sums_stay_exact_at_the_largest_differences():
    black, white = flat(0, 401, 403), flat(255, 401, 403)
    sums = psnr.difference_products(black, white)
    assert sums.tolist() == [[255**2 * 401 * 403] * 3] * 3
    assert one(psnr.Psnr, black, white)["psnr_rgb"] == 0


# SSIM


def test_ssim_of_flat_pictures_is_the_luminance_term():
    # No variance, so contrast and structure are C2 / C2 = 1, and with C1 = (.01 * 255)^2 = 6.5025
    # (2 * 100 * 110 + C1) / (100^2 + 110^2 + C1) = 22006.5025 / 22106.5025 = 0.99547644.
    value = one(ssim.Ssim, flat(100, 20, 30), flat(110, 20, 30))["ssim_y"]
    assert value == pytest.approx(0.99547644, abs=1e-7)


def test_ssim_of_one_window_is_equation_13_of_wang_et_al():
    original, image = noisy_pair(11, 11)
    x, y = (images.to_ycbcr(picture)[..., 0] for picture in (original, image))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    w = np.outer(line, line) / line.sum() ** 2
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum()
    vxy = (w * (x - mx) * (y - my)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mx * my + c1) * (2 * vxy + c2) / (mx**2 + my**2 + c1) / (vx + vy + c2)
    assert one(ssim.Ssim, original, image)["ssim_y"] == pytest.approx(expected, abs=1e-9)


def test_ssim_agrees_with_another_library():
    torch = pytest.importorskip("torch")
    other = pytest.importorskip("pytorch_msssim")
    original, image = noisy_pair(61, 47)
    x, y = (
        torch.tensor(images.to_ycbcr(picture)[..., 0])[None, None] for picture in (original, image)
    )
    # Float64 planes, but that library's window is float32.
    expected = float(other.ssim(x, y, data_range=255))
    assert one(ssim.Ssim, original, image)["ssim_y"] == pytest.approx(expected, abs=1e-6)


def test_ssim_of_equal_pictures_is_one_and_tiny_ones_have_none():
    original, _ = noisy_pair(12, 40)
    assert one(ssim.Ssim, original, original)["ssim_y"] == 1
    with pytest.raises(ImageError, match=r"40x10 is smaller than its 11x11 window"):
        one(ssim.Ssim, original[:10], original[:10])


# MS-SSIM


@pytest.fixture
def msssim_installed():
    pytest.importorskip("pytorch_msssim")


@pytest.mark.usefixtures("msssim_installed")
def test_ms_ssim_of_flat_pictures_is_the_luminance_term_of_the_last_scale():
    # As above, with the last scale's exponent: 0.99547644 ^ 0.1333 = 0.99939582.
    # The library computes variances as differences of float32 means of squares; where all pixels
    # are equal, so are their rounding errors, and they add up to 3e-5.
    values = one(ms_ssim.MsSsim, flat(100, 176, 192), flat(110, 176, 192))
    assert values["ms_ssim_rgb"] == pytest.approx(0.99939582, abs=5e-5)
    assert values["ms_ssim_db"] == ms_ssim.decibels(values["ms_ssim_rgb"])


@pytest.mark.usefixtures("msssim_installed")
def test_ms_ssim_of_equal_pictures_is_one_and_small_ones_have_none():
    original, _ = noisy_pair(161, 170)
    assert one(ms_ssim.MsSsim, original, original) == {"ms_ssim_rgb": 1, "ms_ssim_db": math.inf}
    with pytest.raises(ImageError, match=r"170x160 has a side shorter than 161"):
        one(ms_ssim.MsSsim, original[:160], original[:160])


def test_ms_ssim_decibels_count_the_nines():
    assert ms_ssim.decibels(0.99) == pytest.approx(20)
    assert ms_ssim.decibels(0.0) == 0


@pytest.mark.usefixtures("msssim_installed")
def test_psnr_and_ms_ssim_of_webp_on_kodak_are_the_published_ones():
    file = SHARED / "reference" / "kodak_published.json"
    kodak = sorted((SHARED / "data" / "kodak").glob("*.png"))
    if not file.is_file() or len(kodak) != 24:
        pytest.skip("needs ../shared with Kodak and its published curves")
    curve = json.loads(file.read_text())["curves"]["webp (Pillow)"]
    at = 9  # quality 50: CompressAI measured 5, 10, ..., 95
    pairs, n_bits = [], 0
    for path in kodak:
        original, coded = images.read(path), io.BytesIO()
        Image.fromarray(original).save(coded, "WEBP", quality=50)
        n_bits += 8 * coded.tell()
        pairs.append((original, np.asarray(Image.open(coded))))
    if n_bits / (24 * 768 * 512) != pytest.approx(curve["bpp"][at], abs=1e-4):
        pytest.skip("this libwebp does not write the published files")
    originals, decoded = zip(*pairs, strict=True)
    for task, metric, published, tolerance in (
        (psnr.Psnr, "psnr_rgb", "psnr_rgb_db", 1e-4),
        (ms_ssim.MsSsim, "ms_ssim_rgb", "ms_ssim_rgb", 1e-5),
    ):
        rows = task().compare(originals, decoded)
        mean = np.mean([row[metric] for row in rows])
        assert mean == pytest.approx(curve[published][at], abs=tolerance)


# All of them


def test_listing_the_measures_imports_nothing_heavy():
    names = ", ".join(module.__name__ for module in MODULES)
    heavy = {"numpy", "torch", "skimage", "ffmpeg", "imageio_ffmpeg", "lpips", "torchmetrics"}
    code = f"""
import sys, {names}
for module in ({names}):
    for task in module.workbench_tasks():
        task.unavailable()
print(sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_of_measures_and_metrics_are_unique():
    tasks = [task for module in MODULES for task in module.workbench_tasks()]
    metrics = [metric.name for task in tasks for metric in task.metrics]
    assert len({task.name for task in tasks}) == len(tasks)
    assert len(set(metrics)) == len(metrics)
    assert all(task.audience == "human" for task in tasks)
