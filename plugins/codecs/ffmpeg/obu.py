"""Cutting an AV1 low-overhead bitstream (AV1 specification, section 5) into temporal units."""

from __future__ import annotations

from workbench.errors import StreamError

TEMPORAL_DELIMITER = 2


def temporal_units(stream: bytes) -> list[bytes]:
    """Cut a stream in front of every temporal delimiter.

    Raises:
        StreamError: an open bitstream unit without a size, or with one beyond the stream's end.
    """
    starts = []
    position = 0
    while position < len(stream):
        header = stream[position]
        if (header >> 3) & 15 == TEMPORAL_DELIMITER:
            starts.append(position)
        if not header & 2:
            raise StreamError(f"AV1: the unit at byte {position} has no size")
        # Bit 2 announces one more header byte.
        size, position = leb128(stream, position + (2 if header & 4 else 1))
        position += size
        if position > len(stream):
            raise StreamError(f"AV1: a unit ends at byte {position} of {len(stream)}: cut")
    if starts[:1] != [0]:
        raise StreamError("AV1: the stream does not start with a temporal delimiter")
    return [stream[a:b] for a, b in zip(starts, [*starts[1:], len(stream)], strict=True)]


def leb128(data: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned number of at most 8 bytes, 7 bits a byte; return it and what follows.

    Raises:
        StreamError: the number does not end.
    """
    value = 0
    for count, byte in enumerate(data[position : position + 8]):
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, position + count + 1
    raise StreamError(f"the number at byte {position} of {len(data)} does not end")


def to_leb128(value: int) -> bytes:
    """Write an unsigned number, 7 bits a byte, low bits first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
