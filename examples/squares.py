"""A codec in one file: the mean colour of squares, compressed by zlib.

workbench check examples/squares.py
workbench run --codecs squares,jpeg --tasks psnr --plugin examples/squares.py --out run
workbench report run
"""

import struct
import zlib

import numpy as np

import workbench


class Squares(workbench.Codec):
    """Mean colours of squares, zlib. A tutorial, not a contender."""

    name = "squares"
    points = workbench.points("side", [32, 16, 8, 6, 4, 3], limits=(1, 255))  # low to high rate

    def encode(self, image, point):
        height, width = image.shape[:2]
        side = point.side
        padded = np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
        rows, columns = padded.shape[0] // side, padded.shape[1] // side
        means = padded.reshape(rows, side, columns, side, 3).mean(axis=(1, 3))
        # The decoder gets these bytes and nothing else, so sizes travel in them.
        header = struct.pack("<IIB", height, width, side)
        return header + zlib.compress(np.rint(means).astype(np.uint8).tobytes(), 9)

    def decode(self, stream, output):
        height, width, side = struct.unpack_from("<IIB", stream)
        rows, columns = -(-height // side), -(-width // side)
        n_bytes = rows * columns * 3
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(stream[9:], n_bytes + 1)
        if not unpacker.eof or len(raw) != n_bytes:
            raise workbench.StreamError(f"squares: the stream is damaged, it should hold {n_bytes}")
        means = np.frombuffer(raw, np.uint8).reshape(rows, columns, 3)
        return means.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]


@workbench.hookimpl
def workbench_codecs():
    return [Squares]
