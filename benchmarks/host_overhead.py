"""Time of a run against a plain loop over the same codec and PSNR calls, in one process.

    python benchmarks/host_overhead.py --dataset kodak

Both read each picture once, code it at six JPEG qualities, decode it and compute PSNR. The
workbench also hashes, writes streams and rows, and decodes with an instance of its own. Imports
and the reading of the file list are outside both; repetitions alternate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from common import dataset_argument, tell

from workbench import registry
from workbench.runner import Options, execute

QUALITIES = (10, 20, 35, 50, 75, 90)


def plain_loop(dataset: object) -> float:
    found = registry.load()
    codec, psnr = found.codec("jpeg")(), found.task("psnr")()
    points = [codec.points.find(str(quality)) for quality in QUALITIES]
    start = time.perf_counter()
    for item in dataset.items():  # type: ignore[attr-defined]
        picture = dataset.load(item)  # type: ignore[attr-defined]
        for point in points:
            decoded = codec.decode(codec.encode(picture, point), "image")
            psnr.compare([picture], [decoded])
    return time.perf_counter() - start


def workbench_run(spec: str, data_root: str | None) -> float:
    codecs = ",".join(f"jpeg@{quality}" for quality in QUALITIES)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(codecs, "psnr", spec, Path(folder) / "run", data_root=data_root)
        start = time.perf_counter()
        execute(options)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    plain, ours = [], []
    for repetition in range(args.repeat + 1):
        loop = plain_loop(registry.load().dataset(args.dataset, args.data_root))
        run = workbench_run(args.dataset, args.data_root)
        if repetition:  # the first warms caches
            plain.append(loop)
            ours.append(run)
    ratios = [run / loop for run, loop in zip(ours, plain, strict=True)]
    tell("host_overhead", plain_s=statistics.median(plain), workbench_s=statistics.median(ours),
         ratio=statistics.median(ratios), ratios=[round(r, 3) for r in ratios])  # fmt: skip


if __name__ == "__main__":
    main()
