"""A plugin whose pictures, codecs and measure cost next to nothing: what remains is the host."""

from __future__ import annotations

import hashlib
import os
import time

import numpy as np

import workbench

CELL_S = float(os.environ.get("CELL_MS", "20")) / 1000


class MadeUp(workbench.Dataset):
    """As many 8x8 pictures as are asked for: ``made-up:100``."""

    name = "made-up"
    scheme = True

    def items(self):
        return [
            workbench.Item(f"{n:06d}", hashlib.sha256(b"%d" % n).hexdigest(), 8, 8)
            for n in range(int(self.argument))
        ]

    def load(self, item):
        return np.random.default_rng(int(item.name)).integers(0, 256, (8, 8, 3), np.uint8)


class Copy(workbench.Codec):
    """The picture's bytes."""

    name = "copy"
    points = workbench.points("n", range(1, 11))

    def encode(self, image, point):
        return bytes(point.n) + image.tobytes()

    def decode(self, stream, output):
        return np.frombuffer(stream[-192:], np.uint8).reshape(8, 8, 3)


class Spin(Copy):
    """The picture's bytes, after CELL_MS of work."""

    name = "spin"

    def encode(self, image, point):
        end = time.process_time() + CELL_S
        while time.process_time() < end:
            pass
        return super().encode(image, point)


class Count(workbench.QualityTask):
    """Samples that differ."""

    name = "count"
    metrics = (workbench.Metric("n_different", "Differ", "samples that differ"),)

    def compare(self, originals, images):
        pairs = zip(originals, images, strict=True)
        return [{"n_different": float((a != b).sum())} for a, b in pairs]


@workbench.hookimpl
def workbench_codecs():
    return [Copy, Spin]


@workbench.hookimpl
def workbench_datasets():
    return [MadeUp]


@workbench.hookimpl
def workbench_tasks():
    return [Count]
