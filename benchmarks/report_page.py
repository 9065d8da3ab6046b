"""Building and opening the report page of a large comparison.

    python benchmarks/report_page.py

A finished run is made up first: 25 codecs × 6 points × 79 pictures × 5 metrics, all values drawn
around plausible curves. Then the report is built from it as ``workbench report`` does, in a process
of its own (its seconds, and the processor seconds in it and its workers), and its page is opened in
headless Chromium: the time from navigation until the first view is drawn, the time until a codec is
switched off in its charts, and the size of the page.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import tell

from workbench import plain
from workbench.scoring import resampling_counts
from workbench.store import Store

METRICS = ("psnr_rgb", "psnr_y", "ssim_y", "ms_ssim_db")
SET_METRIC = "yolox-nano.box_map"
SIZE = (640, 480)


def make_run(folder: Path, n_codecs: int, n_points: int, n_images: int) -> None:
    """Write the rows that a run of so many cells leaves behind; streams are not among them."""
    rng = np.random.default_rng(0)
    names = [f"{i:012d}.jpg" for i in range(n_images)]
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    width, height = SIZE
    items = [{"name": n, "sha256": h, "width": width, "height": height}
             for n, h in zip(names, hashes, strict=True)]  # fmt: skip
    hard = rng.normal(0, 0.35, n_images)
    tables: dict[str, list[dict[str, Any]]] = {t: [] for t in ("coded", "decoded", "scores")}
    counts = resampling_counts(n_images)
    with Store(folder, write=True) as store:
        store.add_items("photographs", items)
        store.add_run({"started": "2026-01-01T00:00:00+00:00", "command": ["workbench", "run"]})
        for c in range(n_codecs):
            gain = rng.uniform(-3, 3)
            sets = []
            for p in range(n_points):
                quality = 26 + gain + 3.1 * p * (1 - 0.03 * p)
                for i in range(n_images):
                    key = f"{c}/{p}/{i}"
                    rate = 0.09 * 1.8**p * np.exp(hard[i]) * rng.uniform(0.95, 1.05)
                    _cell(tables, key, f"codec-{c:02d}", f"q{p}", hashes[i], rate)
                    db = quality - 3 * hard[i] + rng.normal(0, 0.2)
                    values = (db, db + 0.6, 1 - 10 ** (-db / 22), db / 2.6 - 0.4)
                    tables["scores"] += [
                        {"key": key, "output": "image", "task": "quality", "task_key": "1",
                         "metric": metric, "value": float(value)}
                        for metric, value in zip(METRICS, values, strict=True)
                    ]  # fmt: skip
                seen = 0.45 * (1 - np.exp(-(p + 1 + gain / 6) / 1.6)) + rng.normal(0, 0.1, n_images)
                sets.append(
                    {"key": f"{c}/{p}", "dataset": "photographs", "codec": f"codec-{c:02d}",
                     "point": f"q{p}", "output": "image", "task": "yolox-nano",
                     "metric": SET_METRIC, "reference": "dataset", "value": float(seen.mean()),
                     "n_images": n_images,
                     "resamples": store.put_blob(plain.dumps(counts @ seen / n_images))}
                )  # fmt: skip
            store.append("sets", sets)
        for table, rows in tables.items():
            store.append(table, rows)


def _cell(
    tables: dict[str, list[dict[str, Any]]],
    key: str,
    codec: str,
    point: str,
    image: str,
    rate: float,
) -> None:
    width, height = SIZE
    n_bytes = round(rate * width * height / 8)
    tables["coded"].append(
        {"key": key, "codec": codec, "point": point, "image_sha256": image, "width": width,
         "height": height, "encode_s": 0.2, "threads": 1, "workers": 1, "device": "cpu",
         "batch": 1, "n_bytes": n_bytes}
    )  # fmt: skip
    tables["decoded"].append(
        {"key": key, "output": "image", "audience": "any", "needs": "main", "n_bytes": n_bytes,
         "container_bytes": n_bytes + 50, "rate_bpp": rate, "decode_s": 0.05,
         "container_rate_bpp": rate + 400 / (width * height)}
    )  # fmt: skip


def opened(page: Path, repeat: int) -> tuple[float, float]:
    """Return seconds until the first view is drawn, and until a codec is gone from its charts."""
    from playwright.sync_api import sync_playwright

    drawn, toggled = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(repeat):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")
            mark = "performance.getEntriesByName('workbench-drawn')[0].startTime"
            drawn.append(tab.evaluate(mark) / 1000)
            toggled.append(
                tab.evaluate(
                    "() => { const start = performance.now(); "
                    "document.querySelector('.legend input').click(); "
                    "return performance.now() - start; }"
                )
                / 1000
            )
            tab.close()
        browser.close()
    return statistics.median(drawn), statistics.median(toggled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--codecs", type=int, default=25)
    parser.add_argument("--points", type=int, default=6)
    parser.add_argument("--images", type=int, default=79)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder to keep run and report in")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        run, out = folder / "run", folder / "report"
        if not run.exists():
            make_run(run, args.codecs, args.points, args.images)
        start = time.perf_counter()
        command = [sys.executable, "-m", "workbench", "report", str(run), "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        built = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        first, toggle = opened(out / "index.html", args.repeat)
        tell(
            "report_page", built_s=built, built_cpu_s=used.ru_utime + used.ru_stime,
            first_view_s=first, toggle_s=toggle,
            page_mb=(out / "index.html").stat().st_size / 1e6,
            report_json_mb=(out / "report.json").stat().st_size / 1e6,
        )  # fmt: skip


if __name__ == "__main__":
    main()
