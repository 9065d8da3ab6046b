"""The parts of the ffmpeg codecs: colour planes, and cutting streams into pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import errors
from workbench_plugins.codecs.ffmpeg import annexb, colour, obu
from workbench_plugins.codecs.ffmpeg.colour import Layout, from_planes, to_planes

LAYOUTS = [Layout(8, False), Layout(10, False), Layout(8, True), Layout(10, True)]
each_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: x.raw(2, 2).pix_fmt)


def round_trip(picture: np.ndarray, layout: Layout) -> np.ndarray:
    height, width = picture.shape[:2]
    even = (width + width % 2, height + height % 2)
    planes = to_planes(picture, layout, *even)
    assert len(planes) == layout.raw(*even).frame_bytes
    return from_planes(planes, layout, layout.raw(*even), width, height)


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((decoded.astype(float) - original) ** 2)))


def test_planes_have_the_values_of_bt_709() -> None:
    # White: Y 255, no chroma. Red: Y = .2126 * 255 = 54.2, Cb = 128 - 255 * .2126 / 1.8556 = 98.8,
    # Cr = 128 + 255 / 2 = 255.5, clipped.
    picture = np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8)
    assert list(to_planes(picture, Layout(8, False), 2, 1)) == [255, 54, 128, 99, 128, 255]


def test_ten_bits_are_little_endian() -> None:
    planes = to_planes(np.full((1, 1, 3), 51, np.uint8), Layout(10, False), 1, 1)
    # Grey 51: Y = 51 * 1023 / 255 = 204.6.
    assert list(np.frombuffer(planes, "<u2")) == [205, 512, 512]


def test_halved_chroma_is_the_mean_of_four() -> None:
    # Blue has Cb 255 (clipped from 255.5), black 128: one blue of four means 128 + 127.5 / 4.
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[1, 0] = [0, 0, 255]
    planes = to_planes(picture, Layout(8, True), 2, 2)
    assert planes[4] == round(128 + 127.5 / 4)


@each_layout
def test_a_plain_picture_comes_back(layout: Layout) -> None:
    picture = np.broadcast_to(np.array([200, 100, 50], np.uint8), (7, 5, 3))
    decoded = round_trip(picture, layout)
    # 8 bits: chroma is off by half a step at most, and blue is 1.8556 times Cb.
    assert np.abs(decoded.astype(int) - picture).max() <= (1 if layout.bits == 8 else 0)


def test_ten_bits_without_halving_lose_nothing() -> None:
    # Off by 1/2 of 1023 steps each: blue by at most (1 + 1.8556) / 2 * 255 / 1023 = 0.36 < 1/2.
    corners = np.array(np.meshgrid([0, 1, 254, 255], [0, 255], [0, 128, 255])).T.reshape(-1, 1, 3)
    random = np.random.default_rng(0).integers(0, 256, (300, 300, 3))
    for picture in (corners.astype(np.uint8), random.astype(np.uint8)):
        assert np.array_equal(round_trip(picture, Layout(10, False)), picture)


@pytest.mark.parametrize(
    ("layout", "floor_db"),
    [(Layout(8, False), 52), (Layout(10, True), 43), (Layout(8, True), 42.5)],
)
def test_photographs_have_a_high_ceiling(layout: Layout, floor_db: float) -> None:
    from skimage import data

    picture = data.chelsea()[:255, :301]
    assert psnr(picture, round_trip(picture, layout)) > floor_db


def test_chroma_that_changes_evenly_is_interpolated_exactly() -> None:
    # Cubic convolution reproduces straight lines; the repeated edges bend the outer samples.
    ramp = np.arange(0, 20, 2.0)[None, :]  # sited at 0.5, 2.5, ... of the full grid
    full = colour._interpolate(ramp, 1, 0, 20)
    assert full[0, 4:16] == pytest.approx(np.arange(4, 16) - 0.5)


@each_layout
def test_strips_do_not_show(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (21, 13, 3), dtype=np.uint8)
    whole_planes = to_planes(picture, layout, 14, 22)
    whole = round_trip(picture, layout)
    monkeypatch.setattr(colour, "STRIP_ROWS", 4)
    assert to_planes(picture, layout, 14, 22) == whole_planes
    assert np.array_equal(round_trip(picture, layout), whole)


@each_layout
def test_padding_repeats_the_edge(layout: Layout) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    padded = np.pad(picture, ((0, 13), (0, 11), (0, 0)), mode="edge")
    assert to_planes(picture, layout, 16, 16) == to_planes(padded, layout, 16, 16)


# -- byte streams ---------------------------------------------------------------------------------


def test_a_byte_stream_is_cut_into_units_and_access_units() -> None:
    # H.264: 7 SPS, 8 PPS, 5 IDR slice, 6 SEI; start codes of four and three bytes.
    first = [b"\0\0\0\1\x67\x64", b"\0\0\1\x68\xee", b"\0\0\1\x65\x88\x84"]
    second = [b"\0\0\0\1\x06\x05", b"\0\0\1\x67\x64", b"\0\0\1\x65\x88\x82", b"\0\0\1\x65\x01"]
    stream = b"".join(first + second)
    groups = annexb.access_units(stream, annexb.AVC)
    assert [[unit.kind for unit in group] for group in groups] == [[7, 8, 5], [6, 7, 5, 5]]
    assert [annexb.join(group) for group in groups] == [b"".join(first), b"".join(second)]


def test_types_stand_where_each_standard_keeps_them() -> None:
    # H.265: type << 1 in byte 0. H.266: type << 3 in byte 1.
    hevc, vvc = b"\0\0\1\x40\x01", b"\0\0\1\x00\x79"
    assert [unit.kind for unit in annexb.units(hevc, annexb.HEVC)] == [32]
    assert [unit.kind for unit in annexb.units(vvc, annexb.VVC)] == [15]


def test_an_empty_stream_has_no_access_units() -> None:
    assert annexb.access_units(b"", annexb.VVC) == []
    assert annexb.access_units(b"\0\0\1", annexb.VVC) == []


def test_emulation_prevention_follows_the_standard() -> None:
    # H.264, 7.3.1: 00 00 00, 00 00 01, 00 00 02 and 00 00 03 get a 03 before the last byte.
    assert annexb.escape(b"\x05\0\0\1\0\0\3\0\0\4") == b"\x05\0\0\3\1\0\0\3\3\0\0\4"
    assert annexb.escape(b"\0\0\0\0\1") == b"\0\0\3\0\0\3\1"


@given(st.lists(st.sampled_from([0, 0, 1, 2, 3, 4, 255])).map(bytes))
def test_escaped_bytes_hold_no_start_code_and_come_back(payload: bytes) -> None:
    escaped = annexb.escape(payload)
    assert b"\0\0\0" not in escaped
    assert b"\0\0\1" not in escaped
    assert annexb.unescape(escaped) == payload


def test_an_av1_stream_is_cut_before_its_delimiters() -> None:
    # 0x12 00: temporal delimiter, no bytes; 0x0a: sequence header; 0x32: frame; 0x36: frame with
    # an extension byte.
    units = [bytes.fromhex("12000a02aabb3203010203"), bytes.fromhex("1200360801ff")]
    assert obu.temporal_units(b"".join(units)) == units


@pytest.mark.parametrize(
    ("stream", "message"),
    [("1000", "has no size"), ("12003205aa", "cut"), ("3200", "delimiter"), ("12ff", "not end")],
)
def test_av1_streams_that_cannot_be_cut_raise(stream: str, message: str) -> None:
    with pytest.raises(errors.StreamError, match=message):
        obu.temporal_units(bytes.fromhex(stream))


@given(st.integers(0, 2**40))
def test_numbers_of_seven_bits_a_byte_come_back(value: int) -> None:
    data = obu.to_leb128(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    assert obu.leb128(b"\xff" + data + b"\0", 1) == (value, 1 + len(data))
