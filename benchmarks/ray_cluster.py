"""A local Ray cluster of several node processes runs the demo, loses one, gets another, finishes.

    python benchmarks/ray_cluster.py

The rows must equal those of a run in this process, but for times.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import pandas as pd
from common import dataset_argument, tell

from workbench import rows
from workbench.runner import Options, execute

TIMING = ["encode_s", "decode_s", "batch", "workers"]


def frame(out: Path) -> pd.DataFrame:
    found = rows.load(out).images.drop(columns=TIMING)
    return found.sort_values(["key", "output", "dataset", "image"]).reset_index(drop=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--codecs", default="jpeg,webp,jpegxl")
    parser.add_argument("--tasks", default="psnr,ssim")
    parser.add_argument("--nodes", type=int, default=3)
    args = parser.parse_args()
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(args.nodes)]
    told: dict[str, float] = {}

    with tempfile.TemporaryDirectory() as folder:

        def disturb(done: int, total: int, what: str) -> None:
            if done > total / 4 and "lost_after_cells" not in told:
                cluster.remove_node(nodes[0], allow_graceful=False)
                told["lost_after_cells"] = done
            if done > total / 2 and "added_after_cells" not in told:
                cluster.add_node(num_cpus=1)
                told["added_after_cells"] = done

        def options(name: str, **more: object) -> Options:
            return Options(
                args.codecs, args.tasks, args.dataset, Path(folder) / name,
                data_root=args.data_root, **more,  # type: ignore[arg-type]
            )  # fmt: skip

        start = time.perf_counter()
        done = execute(
            options("ray", executor="ray", address=cluster.address, workers=args.nodes), disturb
        )
        seconds = time.perf_counter() - start
        execute(options("serial"))
        same = frame(Path(folder) / "ray").equals(frame(Path(folder) / "serial"))
    cluster.shutdown()
    assert not ray.is_initialized()
    tell("ray_cluster", nodes=args.nodes, cells=done.n_cells, failed=done.n_failed,
         rows_equal_serial=same, ray_s=seconds, load=os.getloadavg()[0], **told)  # fmt: skip


if __name__ == "__main__":
    main()
