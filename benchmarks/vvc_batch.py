"""vvc-intra, preset fast: pictures per second of one process a picture against batches.

    python benchmarks/vvc_batch.py --dataset kodak

Both code the same pictures to the same bytes, which is checked, on the same number of threads.
``--scale`` shrinks the pictures first: a process's start costs the same at every size, coding
does not.

One process a picture is what a script does that calls ffmpeg for every file: it starts ffmpeg,
sends raw planes, waits. A batch is ``encode_many``, as a run uses it: pictures share processes,
and with several threads every one works on pictures of its own. ``cpu_ratio`` compares processor
seconds of the processes alone, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections import defaultdict

import numpy as np
from common import dataset_argument, tell

from workbench import registry
from workbench_plugins.codecs.ffmpeg import VvcIntra


def children_s() -> float:
    """Processor seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--limit", type=int, default=12, help="pictures")
    parser.add_argument("--scale", type=int, default=1, help="keep every n-th row and column")
    parser.add_argument("--point", default="qp37")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    dataset = registry.load().dataset(args.dataset, args.data_root)
    sizes = defaultdict(list)
    for item in dataset.items():
        picture = dataset.load(item)[:: args.scale, :: args.scale]
        sizes[picture.shape].append(np.ascontiguousarray(picture))
    pictures = max(sizes.values(), key=len)[: args.limit]
    codec = VvcIntra(threads=args.threads)
    point = codec.points.find(args.point)
    alone_s, batch_s, alone_cpu_s, batch_cpu_s = [], [], [], []
    for repetition in range(args.repeat + 1):
        start, start_cpu = time.perf_counter(), children_s()
        alone = [codec.encode(picture, point) for picture in pictures]
        middle, middle_cpu = time.perf_counter(), children_s()
        batch = []
        for first in range(0, len(pictures), codec.batch):
            batch += codec.encode_many(pictures[first : first + codec.batch], point)
        end, end_cpu = time.perf_counter(), children_s()
        assert batch == alone, "the bytes differ"
        if repetition:  # the first warms caches
            alone_s.append(middle - start)
            batch_s.append(end - middle)
            alone_cpu_s.append(middle_cpu - start_cpu)
            batch_cpu_s.append(end_cpu - middle_cpu)
    ratios = [a / b for a, b in zip(alone_s, batch_s, strict=True)]
    height, width = pictures[0].shape[:2]
    tell("vvc_batch", size=f"{width}x{height}", n_images=len(pictures), point=point.label,
         threads=args.threads,
         alone_images_per_s=len(pictures) / statistics.median(alone_s),
         batch_images_per_s=len(pictures) / statistics.median(batch_s),
         cpu_ratio=sum(alone_cpu_s) / sum(batch_cpu_s),
         ratio=statistics.median(ratios), ratios=[round(r, 3) for r in ratios])  # fmt: skip


if __name__ == "__main__":
    main()
