"""The stream container against bytes laid out by hand."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.container import Stream
from workbench.errors import StreamError

STREAM = Stream("icm", "qp32", 37, 53, {"base": b"abc", "enhancement": b"\x00" * 5})


def test_bytes_are_laid_out_as_documented() -> None:
    header = (
        b"WBS\x01"
        + b"\x03icm"
        + b"\x04qp32"
        + struct.pack("<II", 37, 53)
        + b"\x02"
        + b"\x04base" + struct.pack("<QI", 3, zlib.crc32(b"abc"))
        + b"\x0benhancement" + struct.pack("<QI", 5, zlib.crc32(b"\x00" * 5))
    )  # fmt: skip
    expected = header + struct.pack("<I", zlib.crc32(header)) + b"abc" + b"\x00" * 5
    assert STREAM.to_bytes() == expected


def test_reading_gives_back_what_was_written() -> None:
    assert Stream.from_bytes(STREAM.to_bytes()) == STREAM


def test_base_layer_alone_makes_a_smaller_file_that_reads_back() -> None:
    base = STREAM.subset(["base"])
    assert len(base.to_bytes()) == STREAM.container_bytes(["base"])
    assert Stream.from_bytes(base.to_bytes()).layers == {"base": b"abc"}
    # Gone are the enhancement's 5 bytes and its 1 + 11 + 8 + 4 bytes of table.
    assert len(STREAM.to_bytes()) - len(base.to_bytes()) == 5 + 24


def test_a_missing_layer_is_named() -> None:
    with pytest.raises(StreamError, match=r"'enhancement' is missing; the stream has base"):
        STREAM.subset(["base"]).subset(["enhancement"])


@pytest.mark.parametrize("kept", range(len(STREAM.to_bytes())))
def test_every_truncation_raises(kept: int) -> None:
    with pytest.raises(StreamError):
        Stream.from_bytes(STREAM.to_bytes()[:kept])


def test_every_flipped_bit_raises() -> None:
    data = STREAM.to_bytes()
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(StreamError):
            Stream.from_bytes(bytes(flipped))


def test_trailing_bytes_raise() -> None:
    with pytest.raises(StreamError, match="1 bytes behind its last layer"):
        Stream.from_bytes(STREAM.to_bytes() + b"!")


def test_another_format_version_is_refused_by_number() -> None:
    data = bytearray(STREAM.to_bytes())
    data[3] = 2
    with pytest.raises(StreamError, match="stream format 2: this workbench reads format 1"):
        Stream.from_bytes(bytes(data))


@given(st.binary(max_size=80))
def test_random_bytes_raise_and_never_crash(data: bytes) -> None:
    with pytest.raises(StreamError):
        Stream.from_bytes(b"WBS\x01" + data)
