"""AVC, HEVC, AV1 and VVC intra coding through ffmpeg."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench import errors, images
from workbench_plugins import ffmpeg_binary
from workbench_plugins.codecs.ffmpeg import annexb, intra, process, workbench_codecs

CODECS = {codec.name: codec for codec in workbench_codecs()}
every_codec = pytest.mark.parametrize("name", CODECS)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Four real photographs of 48x72 pixels."""
    from skimage import data

    face, cat, cup = data.astronaut(), data.chelsea(), data.coffee()
    crops = [face[20:68, 180:252], cat[100:148, 100:172], cup[50:98, 200:272], face[300:348, :72]]
    return [np.ascontiguousarray(crop) for crop in crops]


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((decoded.astype(float) - original) ** 2)))


def remade(stream: bytes, change: object) -> bytes:
    """The stream with a changed coded picture, and a checksum that is right again."""
    width, height, piece = intra._unpack("test", stream)
    return intra._pack(width, height, change(piece))  # type: ignore[operator]


def fake_program(tmp_path: Path, body: str) -> str:
    file = tmp_path / "ffmpeg"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


# -- what every codec does ------------------------------------------------------------------------


@every_codec
def test_rate_and_quality_grow_from_point_to_point(name: str, photos: list[np.ndarray]) -> None:
    codec = CODECS[name]()
    streams = [codec.encode(photos[0], point) for point in codec.points]
    sizes = [len(stream) for stream in streams]
    qualities = [psnr(photos[0], d) for d in codec.decode_many(streams, "image")]
    assert sizes == sorted(set(sizes))
    assert qualities == sorted(set(qualities))
    assert qualities[-1] > 34
    assert qualities[-1] - qualities[0] > 8


@every_codec
def test_a_picture_has_the_same_bytes_alone_in_a_batch_and_with_two_threads(
    name: str, photos: list[np.ndarray]
) -> None:
    kind, point = CODECS[name], CODECS[name].points[3]
    alone = [kind().encode(photo, point) for photo in photos]
    assert kind().encode_many(photos, point) == alone
    # Two threads: two processes with two pictures each, or one process with two threads.
    assert kind(threads=2).encode_many(photos, point) == alone
    assert kind(threads=2).encode(photos[1], point) == alone[1]


@every_codec
def test_many_threads_leave_the_bytes_alone(name: str) -> None:
    # From 8 threads on encoders like to cut a picture into tiles or slices, if it is large enough.
    from skimage import data

    photo, kind = np.ascontiguousarray(data.coffee()[:256, :512]), CODECS[name]
    alone = kind(threads=1).encode(photo, kind.points[1])
    assert kind(threads=16).encode(photo, kind.points[1]) == alone


@every_codec
def test_long_batches_keep_their_bytes_too(name: str, photos: list[np.ndarray]) -> None:
    # Counters shape what encoders write: x264 and x265 vary a bit without effect over 32 and 31
    # pictures, VVC counts its pictures in 8 bits; VVenC may hold back the first few of a batch.
    repeats = 8 if name == "vvc-intra" else 17
    kind, point = CODECS[name], CODECS[name].points[0]
    small = [np.ascontiguousarray(photo[:16, :16]) for photo in photos[:2]]
    alone = [kind().encode(picture, point) for picture in small]
    assert kind().encode_many(small * repeats, point) == alone * repeats


@every_codec
def test_streams_of_several_points_decode_together_as_they_do_alone(
    name: str, photos: list[np.ndarray]
) -> None:
    kind = CODECS[name]
    streams = [kind().encode(p, kind.points[i]) for i, p in enumerate(photos)]
    alone = [kind().decode(stream, "image") for stream in streams]
    for threads in (1, 2):
        together = kind(threads=threads).decode_many(streams, "image")
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@every_codec
@pytest.mark.parametrize("size", [(1, 1), (1, 67), (53, 37), (66, 2)])
def test_every_size_is_coded_and_cropped(name: str, size: tuple[int, int]) -> None:
    # Random colours, the hardest picture there is, in halves so that 4:2:0 cannot tell it apart.
    half = np.random.default_rng(1).integers(0, 256, (size[0] // 4 + 1, size[1] // 4 + 1, 3))
    picture = half.repeat(4, 0).repeat(4, 1)[: size[0], : size[1]].astype(np.uint8)
    codec = CODECS[name]()
    decoded = codec.decode(codec.encode(picture, codec.points[-1]), "image")
    assert decoded.shape == picture.shape
    assert decoded.dtype == np.uint8
    assert psnr(picture, decoded.astype(float) + 1e-9) > 19


@every_codec
def test_pictures_8192_wide_are_coded(name: str) -> None:
    ramp = np.linspace(0, 255, 8192).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (6, 8192, 3)).copy()
    codec = CODECS[name]()
    decoded = codec.decode(codec.encode(picture, codec.points[3]), "image")
    assert decoded.shape == (6, 8192, 3)
    assert psnr(picture, decoded) > 35


# Table 7-1 of H.264 and H.265, table 5 of H.266: parameter sets, then one IDR slice.
UNITS = {
    "avc-intra": (annexb.AVC, [7, 8, 5]),
    "hevc-intra": (annexb.HEVC, [32, 33, 34, 20]),
    "hevc-intra-444": (annexb.HEVC, [32, 33, 34, 20]),
    "vvc-intra": (annexb.VVC, [15, 16, 8]),  # and 17, a loop filter's parameters, where one helps
}


@pytest.mark.parametrize("name", UNITS)
def test_a_stream_is_header_parameter_sets_and_one_slice(
    name: str, photos: list[np.ndarray]
) -> None:
    syntax, kinds = UNITS[name]
    stream = CODECS[name]().encode_many(photos[:2], CODECS[name].points[3])[1]
    # Behind 4 bytes of checksum: width 72 and height 48 in a byte each.
    assert stream[4:6] == bytes([72, 48])
    assert [unit.kind for unit in annexb.units(stream[6:], syntax) if unit.kind != 17] == kinds
    assert annexb.join(list(annexb.units(stream[6:], syntax))) == stream[6:]


def test_an_av1_stream_is_header_delimiter_sequence_header_and_frame(
    photos: list[np.ndarray],
) -> None:
    stream = CODECS["av1-intra"]().encode(photos[0], CODECS["av1-intra"].points[3])
    # AV1, 5.3.2: type in bits 3..6 of the header, bit 1 says that a size follows.
    assert stream[4:8] == bytes([72, 48, 2 << 3 | 2, 0])
    assert stream[8] == 1 << 3 | 2
    frame = 10 + stream[9]
    assert stream[frame] == 6 << 3 | 2


# -- damaged streams ------------------------------------------------------------------------------


@every_codec
def test_cut_flipped_and_random_streams_raise(name: str, photos: list[np.ndarray]) -> None:
    codec = CODECS[name]()
    stream = codec.encode(photos[0], codec.points[2])
    flipped = [
        bytes(b ^ (1 << at % 8) if i == at else b for i, b in enumerate(stream))
        for at in range(0, len(stream), 37)
    ]
    cut = [stream[:n] for n in (0, 1, 4, 6, len(stream) // 2, len(stream) - 1)]
    for damaged in [*flipped, *cut, stream + b"\0", bytes(300)]:
        with pytest.raises(errors.StreamError, match=name):
            codec.decode(damaged, "image")


@every_codec
def test_damage_behind_a_right_checksum_raises_or_gives_a_picture(
    name: str, photos: list[np.ndarray]
) -> None:
    codec = CODECS[name]()
    stream = codec.encode(photos[0], codec.points[2])
    random = np.random.default_rng(3)

    def flip(piece: bytes) -> bytes:
        data = bytearray(piece)
        data[random.integers(len(data))] ^= 1 << int(random.integers(8))
        return bytes(data)

    changes = [flip, flip, flip, lambda p: p[: len(p) // 2], lambda p: random.bytes(len(p))]
    for change in changes:
        damaged = remade(stream, change)
        try:
            decoded = codec.decode(damaged, "image")
        except errors.StreamError:
            continue
        assert decoded.shape == photos[0].shape
    for nothing in (lambda p: b"", lambda p: p + p):
        with pytest.raises(errors.StreamError, match=name):
            codec.decode(remade(stream, nothing), "image")


@every_codec
def test_a_stream_that_says_another_size_raises(name: str, photos: list[np.ndarray]) -> None:
    codec = CODECS[name]()
    _, _, piece = intra._unpack(name, codec.encode(photos[0].repeat(8, 0), codec.points[0]))
    # One too small for what the picture needs, one too large, one beyond all pictures.
    for width, height in [(2, 2), (2048, 1024), (1 << 20, 1 << 20), (0, 5), (1 << 60, 1)]:
        with pytest.raises(errors.StreamError, match=name):
            codec.decode(intra._pack(width, height, piece), "image")


def test_a_batch_of_several_sizes_is_refused(photos: list[np.ndarray]) -> None:
    codec = CODECS["avc-intra"]()
    streams = [codec.encode(p, codec.points[0]) for p in (photos[0], photos[0][:40])]
    with pytest.raises(errors.StreamError, match="several sizes"):
        codec.decode_many(streams, "image")


def test_noise_that_libvvenc_cannot_hold_is_an_error_with_its_cure() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    codec = CODECS["vvc-intra"]()
    with pytest.raises(errors.PluginError, match="8 bits a pixel.*use a qp above 0"):
        codec.encode(noise, codec.points.find("0"))


# -- the program ----------------------------------------------------------------------------------


@every_codec
def test_versions_name_the_program_and_the_encoder_library(name: str) -> None:
    versions = CODECS[name].versions()
    assert versions["ffmpeg"] == ffmpeg_binary.version()
    assert versions[CODECS[name].encoder] != "unknown"
    assert {"imageio-ffmpeg", "ffmpeg-python"} < set(versions)
    assert CODECS[name].unavailable() is None


def test_listing_the_codecs_starts_no_process_and_imports_no_numpy() -> None:
    script = (
        "import subprocess, sys\n"
        "def refuse(*a, **k): raise AssertionError('a process was started')\n"
        "subprocess.Popen.__init__ = refuse\n"
        "from workbench_plugins.codecs.ffmpeg import workbench_codecs\n"
        "assert [c.unavailable() for c in workbench_codecs()] == [None] * 5\n"
        "assert not {'numpy', 'ffmpeg', 'imageio_ffmpeg'} & set(sys.modules)\n"
    )
    for setting in ({}, {ffmpeg_binary.SETTING: sys.executable}):
        environment = {**os.environ, **setting}
        subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_an_own_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ffmpeg_binary.SETTING, "/nowhere/ffmpeg")
    why = CODECS["vvc-intra"].unavailable()
    assert why is not None
    assert "WORKBENCH_FFMPEG=/nowhere/ffmpeg" in why
    with pytest.raises(errors.PluginError, match="/nowhere/ffmpeg: no such program"):
        CODECS["vvc-intra"].versions()


def test_an_own_program_without_the_encoder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = fake_program(
        tmp_path, 'echo "ffmpeg version 4.0 Copyright"; echo " V....D libx264  H.264"'
    )
    monkeypatch.setenv(ffmpeg_binary.SETTING, fake)
    with pytest.raises(errors.PluginError, match="vvc-intra: .*no encoder libvvenc"):
        CODECS["vvc-intra"].versions()
    why = CODECS["vvc-intra"].unavailable()
    assert why is not None
    assert "no encoder libvvenc" in why
    assert CODECS["avc-intra"].unavailable() is None


def test_the_encoders_of_an_own_program_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ffmpeg_binary.SETTING, ffmpeg_binary.path())
    versions = CODECS["avc-intra"].versions()
    assert {"libx264", "libx265", "libvvenc"} < set(versions["ffmpeg encoders"].split())


def test_a_program_that_is_not_ffmpeg_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ffmpeg_binary.SETTING, fake_program(tmp_path, "echo hello"))
    with pytest.raises(errors.PluginError, match="is no ffmpeg"):
        CODECS["avc-intra"].versions()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("exec sleep 60", "did not end within 0 s and was stopped"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        ("echo '[h264 @ 0x12ab] no frame!' >&2; exit 3", "ended with status 3: no frame!"),
        ("exec cat /dev/zero >/dev/fd/$(echo $* | sed 's/.*pipe://; s/ .*//')", "more than the"),
        ("exit 0", "0 bytes of pictures"),
    ],
)
def test_a_program_that_hangs_dies_or_fails_while_decoding_is_a_stream_error(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    photos: list[np.ndarray],
    body: str,
    message: str,
) -> None:
    codec = CODECS["avc-intra"]()
    stream = codec.encode(photos[0], codec.points[0])
    if "sleep" in body:
        monkeypatch.setattr(process, "START_S", 0.3)
    monkeypatch.setenv(ffmpeg_binary.SETTING, fake_program(tmp_path, body))
    with pytest.raises(errors.StreamError, match=message):
        codec.decode(stream, "image")


def test_an_encoder_that_fails_is_a_plugin_error_with_its_first_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photos: list[np.ndarray]
) -> None:
    fake = fake_program(tmp_path, "echo '[libx264 @ 0x1] bad option'; echo more; exit 1")
    monkeypatch.setenv(ffmpeg_binary.SETTING, fake)
    codec = CODECS["avc-intra"]()
    with pytest.raises(errors.PluginError, match="72x48: ffmpeg ended with status 1: bad option$"):
        codec.encode(photos[0], codec.points[0])


def test_an_encoder_that_loses_pictures_is_a_plugin_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photos: list[np.ndarray]
) -> None:
    monkeypatch.setenv(ffmpeg_binary.SETTING, fake_program(tmp_path, "exit 0"))
    codec = CODECS["hevc-intra"]()
    with pytest.raises(errors.PluginError, match="wrote 0 pictures for 2"):
        codec.encode_many(photos[:2], codec.points[0])


def test_frames_with_any_settings_can_be_coded_and_decoded() -> None:
    # As a residual codec does: two pictures, the second predicted from the first.
    from workbench_plugins.codecs.ffmpeg.colour import Layout

    raw = Layout(8, True).raw(64, 64)
    grey = bytes([120]) * raw.frame_bytes
    stream = process.encode(
        grey * 2, raw, encoder="libx264", container="h264", options={"qp": 20, "bf": 0, "g": 9}
    )
    kinds = [u.kind for group in annexb.access_units(stream, annexb.AVC) for u in group]
    assert kinds[-1] == 1  # a slice that is not of an IDR picture
    assert process.decode(stream, raw, 2, container="h264", decoder="h264") == grey * 2


def test_kodak_uncoded_round_trips_have_the_stated_ceilings(shared: Path) -> None:
    from workbench_plugins.codecs.ffmpeg.colour import Layout, from_planes, to_planes

    picture = images.read(shared / "data/kodak/kodim03.png")
    for layout, floor in (
        (Layout(8, False), 52.5),
        (Layout(10, True), 41),
        (Layout(8, True), 40.9),
    ):
        raw = layout.raw(768, 512)
        planes = to_planes(picture, layout, 768, 512)
        assert psnr(picture, from_planes(planes, layout, raw, 768, 512)) > floor
