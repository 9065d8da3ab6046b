"""Peak memory of the host and its worker for 24 and for 240 pictures.

python benchmarks/memory.py --dataset kodak
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from common import dataset_argument, many, tell

from workbench import registry

# Run in a process of its own: the peak is over the life of a process and its children.
CHILD = """
import resource, sys
from workbench.runner import Options, execute
if __name__ == "__main__":
    execute(Options("jpeg,webp", "psnr", "folder:" + sys.argv[1], sys.argv[2], workers=1))
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        print(resource.getrusage(who).ru_maxrss / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    args = parser.parse_args()
    assert sys.platform == "linux", "ru_maxrss is in KiB on Linux alone"
    dataset = registry.load().dataset(args.dataset, args.data_root)
    peaks = {}
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "child.py"
        script.write_text(CHILD)
        for n_images in (24, 240):
            folder = many(dataset, n_images, Path(scratch) / f"pictures-{n_images}")
            out = Path(scratch) / f"run-{n_images}"
            done = subprocess.run(
                [sys.executable, str(script), str(folder), str(out)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            peaks[n_images] = [float(line) for line in done.stdout.split()]
    tell(
        "memory", host_mib_24=peaks[24][0], host_mib_240=peaks[240][0],
        worker_mib_24=peaks[24][1], worker_mib_240=peaks[240][1],
        host_ratio=peaks[240][0] / peaks[24][0], worker_ratio=peaks[240][1] / peaks[24][1],
    )  # fmt: skip


if __name__ == "__main__":
    main()
