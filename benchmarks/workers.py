"""Pictures per second of two workers against one, on a mixed run.

    python benchmarks/workers.py --dataset kodak --codecs jpeg,jpegxl,avif,hevc-intra,vvc-intra

Whole command lines are timed, start and all.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import dataset_argument, tell


def seconds(args: argparse.Namespace, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "workbench", "run", "--json", "--codecs", args.codecs,
            "--tasks", args.tasks, "--dataset", args.dataset, "--workers", str(workers),
            "--out", str(Path(folder) / "run"),
        ]  # fmt: skip
        if args.data_root:
            command += ["--data-root", args.data_root]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--codecs", default="jpeg,jpegxl,avif,hevc-intra,vvc-intra")
    parser.add_argument("--tasks", default="psnr,ssim")
    args = parser.parse_args()
    one = seconds(args, 1)
    two = seconds(args, 2)
    tell("workers", one_s=one, two_s=two, speedup=one / two)


if __name__ == "__main__":
    main()
