"""Reading pictures of every kind, and colour conversion."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from workbench import images
from workbench.errors import ImageError


def save(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def test_grey_is_read_as_three_equal_channels(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)), tmp_path / "g.png")
    assert images.read(path).tolist() == [[[4 * y + x] * 3 for x in range(4)] for y in range(3)]


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path) -> None:
    rgba = np.full((2, 2, 4), 255, np.uint8)
    rgba[..., 1] = 7
    opaque = save(Image.fromarray(rgba), tmp_path / "a.png")
    assert (images.read(opaque) == [255, 7, 255]).all()
    rgba[0, 0, 3] = 254
    clear = save(Image.fromarray(rgba), tmp_path / "b.png")
    with pytest.raises(ImageError, match=r"b\.png: has transparent pixels: flatten it"):
        images.read(clear)


def test_palette_pictures_are_read_as_rgb(tmp_path: Path) -> None:
    rgb = Image.new("RGB", (3, 2), (10, 20, 30))
    path = save(rgb.convert("P", palette=Image.Palette.ADAPTIVE), tmp_path / "p.png")
    assert (images.read(path) == [10, 20, 30]).all()


def test_cmyk_is_refused_with_a_cure(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (4, 4)), tmp_path / "c.jpg")
    with pytest.raises(ImageError, match="the picture is CMYK: convert it to 8-bit sRGB first"):
        images.read(path)


def test_16_bit_grey_and_16_bit_rgb_are_refused(tmp_path: Path) -> None:
    grey = save(Image.fromarray(np.zeros((4, 4), np.uint16)), tmp_path / "g16.png")
    with pytest.raises(ImageError, match="8-bit sRGB first"):
        images.read(grey)
    with pytest.raises(ImageError, match="16 bits a sample"):
        images.read(png_16_bit_rgb(tmp_path / "rgb16.png"))


def png_16_bit_rgb(path: Path) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(12) for _ in range(2))
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


@pytest.mark.parametrize("kept", [0, 10, 40, 200])
def test_cut_files_raise_with_the_path(tmp_path: Path, kept: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    path = save(Image.fromarray(noise), tmp_path / "cut.png")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ImageError, match=r"cut\.png"):
        images.read(path)


def test_missing_and_non_image_files_raise_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no\.png: no such file"):
        images.read(tmp_path / "no.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ImageError, match=r"text\.png: not a picture that can be read"):
        images.probe(tmp_path / "text.png")


def test_a_header_that_claims_a_huge_picture_is_refused_unread(tmp_path: Path) -> None:
    path = png_16_bit_rgb(tmp_path / "bomb.png")
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[24] = 8
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="pixels: crop or scale it"):
        images.read(path)


def test_an_srgb_profile_changes_nothing_and_another_is_converted(tmp_path: Path) -> None:
    picture = Image.new("RGB", (2, 2), (200, 100, 50))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = images.read(save(picture, tmp_path / "s.png", icc_profile=srgb))
    assert (kept == [200, 100, 50]).all()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    ignored = images.read(save(picture, tmp_path / "l.png", icc_profile=lab))
    assert (ignored == [200, 100, 50]).all()  # a LAB profile cannot belong to an RGB picture
    broken = save(picture, tmp_path / "x.png", icc_profile=b"no profile")
    with pytest.raises(ImageError, match="its ICC profile cannot be used"):
        images.read(broken)


def test_primaries_have_the_luma_of_bt709() -> None:
    # ITU-R BT.709-6: Y = 0.2126 R + 0.7152 G + 0.0722 B; full range, so 255 times that.
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    luma = images.to_ycbcr(primaries)[0, :, 0]
    assert luma == pytest.approx([54.213, 182.376, 18.411, 255.0])
    # A saturated red has the greatest Cr there is: 128 + 255 / 2.
    assert images.to_ycbcr(primaries)[0, 0, 2] == pytest.approx(255.5)


@pytest.mark.parametrize(("bits", "floor_db"), [(8, 51.0), (10, 60.0)])
def test_round_trip_through_rounded_ycbcr_loses_little(bits: int, floor_db: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    planes = np.clip(np.rint(images.to_ycbcr(noise, bits)), 0, (1 << bits) - 1)
    back = images.from_ycbcr(planes, bits)
    mse = np.mean((back.astype(float) - noise) ** 2)
    psnr = np.inf if mse == 0 else 10 * np.log10(255**2 / mse)
    assert psnr > floor_db


def test_write_leaves_no_half_file_and_takes_png_alone(tmp_path: Path) -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ImageError, match=r"written as \.png"):
        images.write(tmp_path / "x.jpg", picture)
    with pytest.raises(ImageError, match="cannot write"):
        images.write(tmp_path / "none" / "x.png", picture)
    images.write(tmp_path / "x.png", picture)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.png"]
    assert Image.open(io.BytesIO((tmp_path / "x.png").read_bytes())).size == (2, 2)
