"""What a run costs the host as it grows: time a cell, memory, planning, resuming.

    python benchmarks/scale.py
    python benchmarks/scale.py --finished 10000      # a smaller run to resume

A codec that copies 8x8 pictures, and a measure that counts, leave the host's own work. Every size
runs in a process of its own, with one worker process. ``host_ms_a_cell`` is the processor time of
the host's process without what a run of a single cell takes; ``flat`` is the largest of them over
the smallest. Planning and resuming are wall-clock times inside the process, imports done.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import tell

PLUGIN = Path(__file__).with_name("made_up.py")
CHILD = """
import json, resource, sys, time
from workbench.runner import Options, execute
if __name__ == "__main__":
    plugin, out, sizes, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    told = []
    for size in sizes.split(","):
        start, start_cpu = time.perf_counter(), time.process_time()
        done = execute(Options("copy", "count", f"made-up:{size}", f"{out}-{size}",
                               plugins=(plugin,), workers=workers))
        told.append({"cells": done.n_cells, "measured": done.n_measured, "failed": done.n_failed,
                     "wall_s": time.perf_counter() - start,
                     "cpu_s": time.process_time() - start_cpu,
                     "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
    print(json.dumps(told))
"""
PLANNER = """
import sys, time
from pathlib import Path
from workbench import plan
from workbench.selection import Options, select
from workbench.store import Store
chosen = select(Options("copy", "count", sys.argv[2], plugins=(sys.argv[1],)))
with Store(Path(sys.argv[3]) / "empty", write=True) as store:
    start = time.perf_counter()
    plan.make(store, chosen.codecs, chosen.tasks, chosen.items)
    print(time.perf_counter() - start)
"""
POINTS = 10


def run_child(scratch: Path, script: str, *arguments: str) -> str:
    command = [sys.executable, str(scratch / script), str(PLUGIN), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def child(scratch: Path, name: str, sizes: list[int], workers: int) -> list[dict[str, float]]:
    sizes_told = ",".join(map(str, sizes))
    out = run_child(scratch, "child.py", str(scratch / name), sizes_told, str(workers))
    told: list[dict[str, float]] = json.loads(out)
    assert not any(run["failed"] for run in told), told
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--finished", type=int, default=100_000, help="cells to plan and resume")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "child.py").write_text(CHILD)
        (scratch / "planner.py").write_text(PLANNER)
        a_cell, mib = {}, {}
        for cells in (100, 1_000, 10_000):
            # Small sizes take milliseconds: the median of several.
            times = []
            for repetition in range(max(1, 1_000 // cells) + 4):
                # The first run imports, the second shows what any run costs, however small.
                name = f"run{cells}-{repetition}"
                _, least, run = child(scratch, name, [2, 1, cells // POINTS], 1)
                times.append(1000 * (run["cpu_s"] - least["cpu_s"]) / (cells - POINTS))
            a_cell[cells] = statistics.median(times)
            mib[cells] = run["mib"]
        tell("scale", host_ms_a_cell=a_cell, flat=max(a_cell.values()) / min(a_cell.values()),
             host_mib=mib, memory_ratio=max(mib.values()) / min(mib.values()))  # fmt: skip
        [first] = child(scratch, "whole", [args.finished // POINTS], 0)
        [again] = child(scratch, "whole", [args.finished // POINTS], 0)
        assert again["measured"] == 0, again
        shutil.rmtree(scratch / f"whole-{args.finished // POINTS}")
        pictures = f"made-up:{args.finished // POINTS}"
        plan_s = float(run_child(scratch, "planner.py", pictures, str(scratch)))
        tell("scale_finished", cells=args.finished, plan_s=plan_s, first_s=first["wall_s"],
             again_s=again["wall_s"], again_cpu_s=again["cpu_s"], again_mib=again["mib"],
             load=os.getloadavg()[0])  # fmt: skip


if __name__ == "__main__":
    main()
