"""How many toytown scenes one core renders in a second.

    python benchmarks/toytown.py --scenes 64

Prints pictures per second over all scenes, and the rate of the fastest of several passes, which
is closer to an idle machine's.
"""

from __future__ import annotations

import argparse
import time

from workbench_datasets.toytown.scene import render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--passes", type=int, default=3)
    args = parser.parse_args()
    render("val", 0)  # fills the caches of noise textures
    fastest = [float("inf")] * args.scenes
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(args.passes):
        for index in range(args.scenes):
            start = time.process_time()
            render("val", index)
            fastest[index] = min(fastest[index], time.process_time() - start)
    count = args.scenes * args.passes
    print(f"wall clock       {count / (time.perf_counter() - began):6.1f} pictures/s")
    print(f"processor time   {count / (time.process_time() - cpu):6.1f} pictures/s")
    print(f"fastest passes   {args.scenes / sum(fastest):6.1f} pictures/s")


if __name__ == "__main__":
    main()
