"""Checkerboard energy against patterns whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import ImageError
from workbench_plugins.tasks.quality.checkerboard import Checkerboard, lattice_power

GREY = np.full((96, 160, 3), 128, np.uint8)


def measure(image: np.ndarray) -> dict[str, float]:
    (values,) = Checkerboard().compare([GREY], [image])
    return values


def grid(height: int = 96, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.mgrid[:height, :width])  # type: ignore[return-value]


def test_a_pure_checkerboard_has_all_its_squared_error_as_energy() -> None:
    y, x = grid()
    image = (GREY + 3 * np.where((x + y) % 2, -1, 1)[..., None]).astype(np.uint8)
    # ±3 in R, G and B is ±3 in luma: one spectral line at (1/2, 1/2), of power 3² = 9.
    assert measure(image)["checkerboard_energy"] == pytest.approx(9)


def test_a_wave_between_the_upsampling_frequencies_has_none() -> None:
    _y, x = grid()
    # 3 cycles in 160 pixels: the lattice's frequencies are multiples of 10 cycles, and the wave
    # is 3 > 2 steps away from the nearest, so in no neighbourhood either.
    peaks, beside = lattice_power(5 * np.cos(2 * np.pi * 3 * x / 160))
    assert peaks == pytest.approx(0)
    assert beside == pytest.approx(0)


def test_a_wave_beside_an_upsampling_frequency_counts_for_its_neighbourhood() -> None:
    _y, x = grid()
    # 11 cycles in 160 pixels lie one step from 10, the lattice's 1/16. A wave of amplitude 4 has
    # power 4²/4 = 4 at +11 and at -11 cycles, each among the 24 neighbours of one peak.
    peaks, beside = lattice_power(4 * np.cos(2 * np.pi * 11 * x / 160))
    assert peaks == pytest.approx(0)
    assert beside == pytest.approx(2 * 4 / 24)


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_every_period_of_upsampling_is_seen(period: int) -> None:
    _y, x = grid()
    pattern = 6.0 * (x % period == 0)
    # Its mean square without its mean: 36/p - (6/p)², all at multiples of 1/p cycles a pixel.
    peaks, beside = lattice_power(pattern)
    assert peaks - beside == pytest.approx(36 / period - (6 / period) ** 2)


def test_brightening_a_picture_is_no_pattern() -> None:
    values = measure(GREY + np.uint8(9))
    assert values["checkerboard_energy"] == pytest.approx(0, abs=1e-9)


def test_noise_has_about_no_energy_and_a_ratio_of_about_0_db() -> None:
    rng = np.random.default_rng(0)
    peaks, beside = lattice_power(rng.normal(0, 5, (512, 512)))
    # 255 of 512² lines carry the lattice: 25 · 255 / 512² = 0.0243 of the mean square 25.
    assert beside == pytest.approx(0.0243, rel=0.05)
    assert peaks == pytest.approx(0.0243, rel=0.25)


def test_equal_pictures_have_neither() -> None:
    assert measure(GREY) == {"checkerboard_energy": 0, "checkerboard_ratio_db": 0}


def test_a_picture_too_small_for_its_spectrum_is_refused() -> None:
    small = GREY[:79]
    with pytest.raises(ImageError, match=r"160x79 has a side shorter than 80"):
        Checkerboard().compare([small], [small])
