"""Cutting an H.264, H.265 or H.266 byte stream (their Annex B) into access units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A start code is 00 00 01; the zero bytes before it belong to it.
_START = re.compile(rb"\x00*\x00\x00\x01")
_UNSAFE = re.compile(rb"\x00\x00(?=[\x00-\x03])")


@dataclass(frozen=True)
class Unit:
    """A NAL unit: its type, the start code before it, and its bytes, header included."""

    kind: int
    start: bytes
    data: bytes


@dataclass(frozen=True)
class Syntax:
    """Where a standard keeps the NAL unit's type, and what the types mean.

    Args:
        byte, shift, mask: ``type = (header[byte] >> shift) & mask``.
        pictures: types that carry a picture's samples.
        leading: types that open an access unit when they follow a picture.
    """

    byte: int
    shift: int
    mask: int
    pictures: frozenset[int]
    leading: frozenset[int]


# Table 7-1 of H.264: 1..5 slices; 6 SEI, 7 SPS, 8 PPS, 9 AUD.
AVC = Syntax(0, 0, 31, frozenset(range(1, 6)), frozenset({6, 7, 8, 9}))
# Table 7-1 of H.265: 0..31 slices; 32 VPS, 33 SPS, 34 PPS, 35 AUD, 39 prefix SEI.
HEVC = Syntax(0, 1, 63, frozenset(range(32)), frozenset({32, 33, 34, 35, 39}))
# Table 5 of H.266: 0..12 slices; 14 VPS, 15 SPS, 16 PPS, 17 prefix APS, 19 picture header,
# 20 AUD, 23 prefix SEI.
VVC = Syntax(1, 3, 31, frozenset(range(13)), frozenset({14, 15, 16, 17, 19, 20, 23}))


def units(stream: bytes, syntax: Syntax) -> Iterator[Unit]:
    """Yield the NAL units of a byte stream; what stands before the first start code is left out."""
    starts = list(_START.finditer(stream))
    ends = [found.start() for found in starts[1:]]
    ends.append(len(stream))
    for found, end in zip(starts, ends, strict=False):  # no start: an end too many
        data = stream[found.end() : end]
        if len(data) > syntax.byte:
            yield Unit((data[syntax.byte] >> syntax.shift) & syntax.mask, found[0], data)


def access_units(stream: bytes, syntax: Syntax) -> list[list[Unit]]:
    """Group NAL units into access units: a coded picture and what stands before it."""
    groups: list[list[Unit]] = []
    has_picture = True
    for unit in units(stream, syntax):
        if not groups or (has_picture and unit.kind in syntax.leading):
            groups.append([])
            has_picture = False
        groups[-1].append(unit)
        has_picture = has_picture or unit.kind in syntax.pictures
    return groups


def join(group: list[Unit]) -> bytes:
    """The bytes of NAL units, each behind its start code."""
    return b"".join(unit.start + unit.data for unit in group)


def unescape(data: bytes) -> bytes:
    """Take out the emulation prevention bytes of a NAL unit."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def escape(payload: bytes) -> bytes:
    """Put in emulation prevention bytes: 00 00 0x becomes 00 00 03 0x, x in 0..3."""
    return _UNSAFE.sub(b"\x00\x00\x03", payload)
