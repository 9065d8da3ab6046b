"""Seconds that a finished run takes when it is called again.

    python benchmarks/resume.py --dataset kodak

The first call is made if --out does not hold it yet.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from common import dataset_argument, tell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--codecs", default="all")
    parser.add_argument("--tasks", default="psnr,ssim")
    parser.add_argument("--out", default="run-resume")
    args = parser.parse_args()
    command = [
        sys.executable, "-m", "workbench", "run", "--json", "--codecs", args.codecs, "--tasks",
        args.tasks, "--dataset", args.dataset, "--out", args.out,
    ]  # fmt: skip
    if args.data_root:
        command += ["--data-root", args.data_root]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    start = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - start
    summary = json.loads(done.stdout)
    assert summary["n_measured"] == 0, summary
    tell("resume", again_s=seconds, cells=summary["n_cells"])


if __name__ == "__main__":
    main()
