"""Pictures a second of the detectors that are available here, and the cost of intervals.

    python benchmarks/detection.py --dataset coco:IMAGES:ANNOTATIONS --limit 79

The host's share is what a run adds to a detector's own seconds: keeping its predictions as bytes.
"""

from __future__ import annotations

import argparse
import time

from common import dataset_argument, tell

from workbench import plain, registry, scoring
from workbench_plugins.tasks.detection.base import Detector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    dataset_argument(parser)
    parser.add_argument("--limit", type=int, default=79)
    parser.add_argument("--tasks", default="all")
    args = parser.parse_args()
    found = registry.load()
    dataset = found.dataset(args.dataset, args.data_root)
    items = list(dataset.items())[: args.limit]
    pictures = [dataset.load(item) for item in items]
    for kind in found.select_tasks(args.tasks):
        if not issubclass(kind, Detector):
            continue
        detector = kind()
        detector.predict(pictures[:1])  # builds the network
        start = time.perf_counter()
        predictions = [detector.predict([picture])[0] for picture in pictures]
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        stored = [plain.dumps(prediction) for prediction in predictions]
        keeping = time.perf_counter() - start
        tell(
            kind.name,
            pictures_per_s=len(pictures) / seconds,
            host_share=keeping / seconds,
            prediction_bytes=sum(map(len, stored)) / len(stored),
        )
        if "boxes" in dataset.targets:
            targets = [dataset.load_target(item, "boxes") for item in items]
            counts = scoring.resampling_counts(len(items))
            start = time.perf_counter()
            detector.evaluate(predictions, targets)
            evaluate_s = time.perf_counter() - start
            start = time.perf_counter()
            detector.resample(predictions, targets, counts)
            tell(
                f"{kind.name} intervals",
                n_images=len(items),
                resamples=len(counts),
                evaluate_s=evaluate_s,
                resample_s=time.perf_counter() - start,
            )


if __name__ == "__main__":
    main()
