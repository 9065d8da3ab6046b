"""Bootstrap interval of a BD-rate: 1,000 resamples of 24 images against a loop over scipy.

Run: python benchmarks/bd_bootstrap.py [--resamples N] [--images N]

The loop does what the interval needs in the plainest way (mean of the drawn images, two
PchipInterpolators and their antiderivatives a resample). Both must give the same interval.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from workbench import bd

Array = NDArray[np.float64]
REPEATS = 5


def pictures(n_images: int) -> tuple[Array, Array, Array, Array]:
    """Return rates and qualities, [6, n_images] each, of an anchor and a test codec."""
    rng = np.random.default_rng(0)
    rate = np.array([0.1, 0.25, 0.5, 0.9, 1.4, 2.0])[:, None] * rng.uniform(0.5, 2, n_images)
    log_rate = np.log10(rate)
    quality = 32 + 9 * log_rate - 3 * log_rate**2 + rng.normal(0, 3, n_images)
    test_quality = quality + 0.2 * log_rate + rng.normal(0, 0.1, n_images)
    return rate, quality, rate * rng.uniform(0.7, 1, n_images), test_quality


def with_workbench(data: tuple[Array, Array, Array, Array], weights: Array) -> tuple[float, float]:
    anchor, test = bd.mean_curves(*data[:2], weights), bd.mean_curves(*data[2:], weights)
    interval = bd.bootstrap(anchor, test)
    if interval.low is None or interval.high is None:
        raise SystemExit(f"no interval: {interval.reason}")
    return interval.low, interval.high


def with_loop(data: tuple[Array, Array, Array, Array], weights: Array) -> tuple[float, float]:
    values = []
    for weight in weights:
        r0, q0, r1, q1 = (values_of @ weight for values_of in data)
        low, high = max(q0[0], q1[0]), min(q0[-1], q1[-1])
        areas = [
            float(PchipInterpolator(q, np.log10(r)).antiderivative()([low, high]) @ [-1, 1])
            for r, q in ((r0, q0), (r1, q1))
        ]
        values.append(100 * (10 ** ((areas[1] - areas[0]) / (high - low)) - 1))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def best_of(call: Callable[[], tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Return the shortest of REPEATS times in seconds, and the result."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--images", type=int, default=24)
    options = parser.parse_args()
    data = pictures(options.images)
    weights = bd.resampling_weights(options.images, options.resamples)
    own_s, own = best_of(lambda: with_workbench(data, weights))
    loop_s, loop = best_of(lambda: with_loop(data, weights))
    if not np.allclose(own, loop, rtol=0, atol=1e-8):
        raise SystemExit(f"intervals differ: {own} and {loop}")
    print(
        json.dumps(
            {
                "resamples": options.resamples,
                "images": options.images,
                "interval_percent": own,
                "workbench_s": round(own_s, 4),
                "scipy_loop_s": round(loop_s, 4),
                "ratio": round(loop_s / own_s, 1),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
