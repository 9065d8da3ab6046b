"""Seconds of 1,000 short cells on Ray and on the local pool, with two workers each.

    python benchmarks/ray_pool.py

A cell spins for --cell-ms of processor time. Runs alternate; both start from a warm process, Ray
from a cluster that is up, as with --address. What starting a local cluster adds is told apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from common import tell

from workbench.runner import Options, execute

PLUGIN = Path(__file__).with_name("made_up.py")
POINTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=1_000)
    parser.add_argument("--cell-ms", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    os.environ["CELL_MS"] = str(args.cell_ms)  # workers and a cluster started here inherit it
    import ray

    with tempfile.TemporaryDirectory() as folder:

        def seconds(name: str, executor: str, cells: int) -> float:
            options = Options(
                "spin", "", f"made-up:{cells // POINTS}", Path(folder) / name,
                plugins=(str(PLUGIN),), workers=args.workers, executor=executor,
            )  # fmt: skip
            start = time.perf_counter()
            done = execute(options)
            assert (done.n_measured, done.n_failed) == (cells, 0), done
            return time.perf_counter() - start

        seconds("warm", "processes", POINTS)
        start = time.perf_counter()
        ray.init(num_cpus=max(args.workers, os.cpu_count() or 1), include_dashboard=False,
                 log_to_driver=False)  # fmt: skip
        start_s = time.perf_counter() - start
        seconds("warm-ray", "ray", POINTS)
        pool, on_ray = [], []
        for repetition in range(args.repeat):
            pool.append(seconds(f"pool{repetition}", "processes", args.cells))
            on_ray.append(seconds(f"ray{repetition}", "ray", args.cells))
        ray.shutdown()
    ratios = [b / a for a, b in zip(pool, on_ray, strict=True)]
    tell("ray_pool", cells=args.cells, cell_ms=args.cell_ms, workers=args.workers,
         pool_s=statistics.median(pool), ray_s=statistics.median(on_ray),
         ratio=statistics.median(ratios), ratios=[round(r, 3) for r in ratios],
         ray_start_s=start_s, load=os.getloadavg()[0])  # fmt: skip


if __name__ == "__main__":
    main()
