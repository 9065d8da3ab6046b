"""What the benchmarks share: pictures to run on, and how a result is told."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path


def dataset_argument(parser: argparse.ArgumentParser) -> None:
    """Add --dataset; the figures in the README were made with ``kodak``."""
    parser.add_argument("--dataset", default="demo", help="as for workbench run")
    parser.add_argument("--data-root", default=os.environ.get("WORKBENCH_DATA"))


def tell(name: str, **figures: object) -> None:
    """Print one result as a line of JSON."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"benchmark": name, **rounded}), flush=True)


def many(dataset: object, n_images: int, folder: Path) -> Path:
    """Write ``n_images`` different pictures, shifted copies of a dataset's, into a folder."""
    import numpy as np

    from workbench import images

    items = list(dataset.items())  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(n_images):
        picture = dataset.load(items[index % len(items)])  # type: ignore[attr-defined]
        shifted = np.roll(picture, index // len(items), axis=1)
        images.write(folder / f"{index:05d}.png", np.ascontiguousarray(shifted))
    return folder
