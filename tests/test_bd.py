"""BD-rate and BD-quality against outside values, hand arithmetic and their invariants."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from workbench import bd
from workbench.bd.batch import pchip_gaps
from workbench.bd.fit import INTERPOLATING, average_gap, fit_monotone_cubic
from workbench.errors import WorkbenchError

GOLDEN = json.loads((Path(__file__).parent / "data" / "bd_rate_golden.json").read_text())["sets"]


def line(low_db: float = 30.0, name: str = "line", scale: float = 1.0) -> bd.Curve:
    """Return q = low_db + 10 log10(rate) over one decade: every method joins it exactly."""
    rates = np.array([1.0, 2.0, 4.0, 7.0, 10.0])
    return bd.Curve(scale * rates, low_db + 10 * np.log10(rates), name)


def codes(result: bd.BDResult) -> set[str]:
    return {warning.split(":")[0] for warning in result.warnings}


@pytest.mark.parametrize("method", INTERPOLATING)
@pytest.mark.parametrize("name", GOLDEN)
def test_bd_rate_equals_the_published_tools(name: str, method: str) -> None:
    golden = GOLDEN[name]
    anchor, test = (bd.Curve(**golden[role], name=role) for role in ("anchor", "test"))
    expected = golden["bd_rate_percent"][method]
    # Six decimals; the one value of 1e5 is given to eight figures, of which the last two hang on
    # the rounding inside the fit: exact arithmetic gives 100421.201912.
    assert bd.bd_rate(anchor, test, method=method).value == pytest.approx(
        expected, abs=5.1e-7, rel=1e-6 if abs(expected) > 1e3 else 0
    )


# bjontegaard 1.3.0, bd_psnr(..., method), on the golden sets: cubic, pchip, akima.
BD_PSNR = {
    "fau-1": (0.120409, 0.119693, 0.119409),
    "fau-2": (0.095404, 0.088875, 0.089903),
    "jctvc-e137-1": (0.025060, 0.025050, 0.025057),
    "jctvc-e137-2": (0.028704, 0.028472, 0.028075),
    "saturated-vmaf": (0.102144, 0.104046, 0.103394),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_bd_psnr_equals_the_published_tools(name: str) -> None:
    anchor, test = (bd.Curve(**GOLDEN[name][role]) for role in ("anchor", "test"))
    values = [bd.bd_quality(anchor, test, method=method).value for method in INTERPOLATING]
    assert values == pytest.approx(BD_PSNR[name], abs=5.1e-7)


def test_saturated_curves_are_flagged_by_every_method() -> None:
    golden = GOLDEN["saturated-vmaf"]
    anchor, test = (bd.Curve(**golden[role], name=role) for role in ("anchor", "test"))
    for method in INTERPOLATING:
        assert {"saturation", "methods"} <= codes(bd.bd_rate(anchor, test, method=method))


def test_ordinary_curves_carry_no_warning() -> None:
    golden = GOLDEN["jctvc-e137-1"]
    anchor, test = (bd.Curve(**golden[role], name=role) for role in ("anchor", "test"))
    assert bd.bd_rate(anchor, test).warnings == ()
    assert bd.bd_quality(anchor, test).warnings == ()


@st.composite
def curves(draw: st.DrawFn) -> bd.Curve:
    steps = draw(
        st.lists(st.tuples(st.floats(0.05, 0.6), st.floats(0.3, 6.0)), min_size=4, max_size=8)
    )
    log_rate, quality = np.cumsum(steps, axis=0).T
    order = draw(st.permutations(range(len(steps))))
    return bd.Curve(10 ** log_rate[order], 20 + quality[order])


def scaled(curve: bd.Curve, factor: float) -> bd.Curve:
    return bd.Curve(factor * curve.rate, curve.quality)


@pytest.mark.parametrize("method", bd.METHODS)
class TestInvariants:
    @settings(deadline=None, max_examples=30)
    @given(curve=curves())
    def test_a_curve_against_itself_is_zero(self, method: str, curve: bd.Curve) -> None:
        assert bd.bd_rate(curve, curve, method=method).value == 0
        assert bd.bd_quality(curve, curve, method=method).value == 0

    @settings(deadline=None, max_examples=30)
    @given(curve=curves(), factor=st.sampled_from([1.1, 0.9]))
    def test_rates_times_a_factor_give_that_percentage(
        self, method: str, curve: bd.Curve, factor: float
    ) -> None:
        value = bd.bd_rate(curve, scaled(curve, factor), method=method).value
        assert value == pytest.approx(100 * (factor - 1), abs=1e-6)

    @settings(deadline=None, max_examples=30)
    @given(anchor=curves(), test=curves())
    def test_swapping_the_roles_inverts_the_ratio(
        self, method: str, anchor: bd.Curve, test: bd.Curve
    ) -> None:
        forth = bd.bd_rate(anchor, test, method=method)
        back = bd.bd_rate(test, anchor, method=method)
        assert (forth.value is None) == (back.value is None)
        if forth.value is not None and forth.value > -99.99 and back.value is not None:
            expected = 100 * (100 / (100 + forth.value) - 1)
            assert back.value == pytest.approx(expected, rel=1e-6, abs=1e-6)

    @settings(deadline=None, max_examples=30)
    @given(curve=curves(), shift=st.floats(-5, 5))
    def test_a_shift_of_quality_is_the_bd_quality(
        self, method: str, curve: bd.Curve, shift: float
    ) -> None:
        shifted = bd.Curve(curve.rate, curve.quality + shift)
        value = bd.bd_quality(curve, shifted, method=method).value
        assert value == pytest.approx(shift, abs=1e-6)


@pytest.mark.parametrize("method", bd.METHODS)
def test_straight_lines_give_the_values_worked_out_by_hand(method: str) -> None:
    # Anchor 30..40 dB, test 35..45 dB over the same decade: at equal quality the test is half a
    # decade cheaper, 100 * (10^-0.5 - 1) = -68.377 %; common qualities 35..40 of 30..45.
    rate = bd.bd_rate(line(30), line(35), method=method)
    assert rate.value == pytest.approx(100 * (10**-0.5 - 1), abs=1e-9)
    assert rate.overlap == pytest.approx(1 / 3)
    assert "overlap" in codes(rate)
    assert any("33.3 %" in warning for warning in rate.warnings)
    quality = bd.bd_quality(line(30), line(35), method=method)
    assert quality.value == pytest.approx(5, abs=1e-9)
    assert quality.overlap == pytest.approx(1)
    assert quality.warnings == ()


@pytest.mark.parametrize("method", bd.METHODS)
def test_bd_quality_exists_where_rates_overlap_though_qualities_do_not(method: str) -> None:
    rate = bd.bd_rate(line(30), line(50), method=method)
    assert rate.value is None
    assert rate.reason is not None
    assert "no overlap" in rate.reason
    assert rate.overlap == 0
    assert bd.bd_quality(line(30), line(50), method=method).value == pytest.approx(20)


def test_curves_that_touch_in_one_quality_do_not_overlap() -> None:
    assert bd.bd_rate(line(30), line(40)).value is None


def test_lower_is_better_keeps_the_sign_of_the_metric() -> None:
    anchor = bd.Curve([0.1, 0.2, 0.4, 0.8], [0.40, 0.30, 0.20, 0.10])
    test = bd.Curve([0.1, 0.2, 0.4, 0.8], [0.35, 0.25, 0.15, 0.05])
    # 0.05 less at every rate; a step of 0.1 is a factor 2 of rate, so 0.05 is a factor sqrt(2).
    quality = bd.bd_quality(anchor, test, higher_is_better=False)
    assert quality.value == pytest.approx(-0.05)
    assert quality.warnings == ()
    rate = bd.bd_rate(anchor, test, higher_is_better=False)
    assert rate.value == pytest.approx(100 * (0.5**0.5 - 1))


def test_a_metric_of_the_wrong_direction_is_pointed_out() -> None:
    lpips = bd.Curve([0.1, 0.2, 0.4, 0.8], [0.40, 0.30, 0.20, 0.10])
    assert codes(bd.bd_rate(lpips, lpips)) == {"falling"}
    assert "falling" in codes(bd.bd_rate(line(), line(), higher_is_better=False))


def test_of_tied_qualities_the_cheapest_rate_counts() -> None:
    tied = bd.Curve([1.0, 2.0, 4.0, 7.0, 10.0, 40.0], [*line().quality, 40.0], "tied")
    result = bd.bd_rate(line(), tied)
    assert result.value == pytest.approx(0)
    assert {"tie", "saturation"} <= codes(result)


def test_of_tied_rates_the_best_quality_counts() -> None:
    tied = bd.Curve([*line().rate, 10.0], [*line().quality, 35.0], "tied")
    result = bd.bd_quality(line(), tied)
    assert result.value == pytest.approx(0)
    assert "tie" in codes(result)


def test_a_dip_is_named_with_its_place() -> None:
    dipping = bd.Curve([1.0, 2.0, 3.0, 4.0], [40.0, 43.0, 42.5, 44.0], "map")
    result = bd.bd_quality(dipping, dipping)
    assert result.warnings == ("dip: map: quality gets worse from 43 to 42.5 at rate 3",)


def test_fewer_than_four_points_are_used_and_named() -> None:
    for n in (2, 3):
        few = bd.Curve([1.0, 2.0, 3.0][:n], [30.0, 32.0, 33.0][:n])
        for method in bd.METHODS:
            result = bd.bd_rate(few, scaled(few, 1.1), method=method)
            assert result.value == pytest.approx(10)
            assert "few-points" in codes(result)
            assert result.n_anchor == n


@pytest.mark.parametrize("method", bd.METHODS)
@pytest.mark.parametrize(
    "test",
    [
        bd.Curve([], []),
        bd.Curve([1.0], [35.0]),
        bd.Curve([1.0, 2.0, 3.0], [35.0, 35.0, 35.0]),
    ],
    ids=["no point", "one point", "flat"],
)
def test_a_curve_without_extent_has_no_bd_rate_but_a_reason(method: str, test: bd.Curve) -> None:
    result = bd.bd_rate(line(), test, method=method)
    assert result.value is None
    assert result.reason


def test_points_too_close_for_a_cubic_give_a_reason() -> None:
    close = bd.Curve([1.0, 2.0, 3.0, 4.0], 0.99 + 1e-8 * np.arange(4.0))
    result = bd.bd_rate(close, close, method="cubic")
    assert result.value is None
    assert result.reason == "the points are too close together for a cubic fit"


def test_missing_and_infinite_points_are_left_out_by_name() -> None:
    curve = bd.Curve([1, 2, 4, 7, 10, 20], [30, 33, 36, 38, math.nan, math.inf], "jpeg")
    assert len(curve) == 4
    assert curve.warnings == (
        "missing: jpeg: point 5 (rate 10, quality nan) left out",
        "missing: jpeg: point 6 (rate 20, quality inf) left out",
    )
    assert bd.bd_rate(curve, curve).value == 0


@pytest.mark.parametrize(
    ("rate", "quality", "message"),
    [
        ([0.1, 0.0], [30, 31], "jpeg: rate 0 at point 2 must be above 0"),
        ([-0.5, 0.1], [30, 31], "jpeg: rate -0.5 at point 1 must be above 0"),
        ([0.1, 0.2], [30], "jpeg: 2 rates but 1 qualities"),
        ([[0.1]], [[30]], "jpeg: rate must be a list of numbers, got 2 axes"),
        (["x"], [30], "jpeg: rate must be numbers"),
        ([0.1], [1e31], r"jpeg: quality 1e\+31 at point 1 is beyond 1e\+30"),
    ],
)
def test_impossible_points_are_refused_with_the_value(
    rate: Any, quality: Any, message: str
) -> None:
    with pytest.raises(WorkbenchError, match=message):
        bd.Curve(rate, quality, "jpeg")


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(WorkbenchError, match=r"unknown BD method 'pchp'.*'pchip'"):
        bd.bd_rate(line(), line(), method="pchp")


any_curve = st.lists(
    st.tuples(
        st.floats(1e-300, 1e30),
        st.one_of(
            st.floats(-1e30, 1e30),
            st.sampled_from([math.nan, math.inf, -math.inf]),
            st.sampled_from([0.0, 45.0, 45.1, 99.9]),
        ),
    ),
    max_size=7,
).map(lambda points: bd.Curve([p[0] for p in points], [p[1] for p in points]))


@settings(deadline=None, max_examples=150)
@given(
    anchor=any_curve,
    test=any_curve,
    method=st.sampled_from(bd.METHODS),
    kind=st.sampled_from([bd.bd_rate, bd.bd_quality]),
    higher=st.booleans(),
)
def test_any_input_gives_a_finite_value_or_a_reason(
    anchor: bd.Curve, test: bd.Curve, method: str, kind: Any, higher: bool
) -> None:
    result = kind(anchor, test, method=method, higher_is_better=higher)
    assert (result.value is None) != (result.reason is None)
    json.dumps(result.to_dict(), allow_nan=False)


class TestMonotoneCubic:
    def test_a_concave_cubic_is_its_own_fit(self) -> None:
        # 20 + 30t - 9t^2 - t^3: slope 30 - 18t - 3t^2 > 0 and curvature -18 - 6t < 0 on 0..1.
        t = np.linspace(0, 1, 6)
        fit = fit_monotone_cubic(t, 20 + 30 * t - 9 * t**2 - t**3)
        assert fit.coef == pytest.approx([20, 30, -9, -1])

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.floats(0, 100), min_size=4, max_size=8))
    def test_it_is_monotone_concave_and_in_range(self, quality: list[float]) -> None:
        fit = fit_monotone_cubic(np.linspace(0, 1, len(quality)), np.array(quality))
        t = np.linspace(0, 1, 101)
        assert fit.deriv()(t).min() >= -1e-9
        assert fit.deriv(2)(t).max() <= 1e-9
        assert fit(t).min() >= -1e-9
        assert fit(t).max() <= 100 + 1e-9

    @pytest.mark.parametrize(
        "quality",
        [
            [20.0, 35.0, 34.0, 41.0, 40.5, 41.0],
            [90.0, 99.0, 100.0, 100.0, 100.0, 100.0],
            [0.0, 0.0, 0.0, 50.0, 100.0, 100.0],
            [50.0, 40.0, 30.0, 20.0, 10.0, 0.0],
        ],
        ids=["dips", "at the ceiling", "from floor to ceiling", "falls"],
    )
    def test_no_general_solver_finds_a_better_one(self, quality: list[float]) -> None:
        t, q = np.linspace(0, 1, 6), np.array(quality)
        powers = np.vander(t, 4, increasing=True)
        fit = fit_monotone_cubic(t, q)
        # MPEG's own route: SLSQP under the constraints at the points (in units of 100 %).
        at_least_zero = [
            lambda b: b[1] + 2 * b[2] * t + 3 * b[3] * t**2,
            lambda b: -2 * b[2] - 6 * b[3] * t,
            lambda b: b[0],
            lambda b: 1 - b.sum(),
        ]
        solved = minimize(
            lambda b: ((powers @ b - q / 100) ** 2).sum(),
            [0.5, 0, 0, 0],
            method="SLSQP",
            constraints=[{"type": "ineq", "fun": f} for f in at_least_zero],
            options={"ftol": 1e-10, "maxiter": 500},
        )
        assert solved.success
        assert (((fit(t) - q) / 100) ** 2).sum() == pytest.approx(solved.fun, rel=1e-5, abs=1e-8)

    def test_its_bd_rate_is_the_integral_of_the_inverse_curve(self) -> None:
        anchor = bd.Curve([0.1, 0.2, 0.4, 0.8, 1.6], [20.0, 30.0, 36.0, 35.5, 39.0])
        test = bd.Curve([0.1, 0.2, 0.4, 0.8, 1.6], [24.0, 33.0, 36.5, 38.0, 38.0])
        dense = []
        for curve in (anchor, test):
            log_rate = np.log10(curve.rate)
            t = np.linspace(0, 1, 20001)
            start, stop = log_rate[0], log_rate[-1]
            fit = fit_monotone_cubic((log_rate - start) / (stop - start), curve.quality)
            dense.append((fit(t), start + t * (stop - start)))
        low, high = max(q[0] for q, _ in dense), min(q[-1] for q, _ in dense)
        at = np.linspace(low, high, 20001)
        gap = np.mean(np.interp(at, *dense[1]) - np.interp(at, *dense[0]))
        result = bd.bd_rate(anchor, test, method="vcm-monotone-cubic")
        assert result.value == pytest.approx(100 * (10**gap - 1), abs=0.01)
        assert result.method == "vcm-monotone-cubic"
        assert {"dip", "tie"} <= codes(result)

    def test_qualities_outside_percent_are_refused_with_a_reason(self) -> None:
        result = bd.bd_rate(line(95), line(95), method="vcm-monotone-cubic")
        assert result.value is None
        assert result.reason is not None
        assert "0..100" in result.reason


def test_the_matrix_holds_every_ordered_pair() -> None:
    named = {"a": line(30, "a"), "b": line(31, "b"), "far": line(80, "far")}
    matrix = bd.bd_matrix(named)
    assert len(matrix) == 9
    assert [matrix[n, n].value for n in named] == [0, 0, 0]
    # One dB on these lines is a tenth of a decade.
    assert matrix["a", "b"].value == pytest.approx(100 * (10**-0.1 - 1))
    assert matrix["b", "a"].value == pytest.approx(100 * (10**0.1 - 1))
    assert matrix["a", "far"].value is None
    assert bd.bd_matrix(named, kind="quality")["a", "far"].value == pytest.approx(50)


class TestBootstrap:
    rng = np.random.default_rng(7)
    rate = np.array([0.1, 0.25, 0.5, 0.9, 1.4, 2.0])[:, None] * rng.uniform(0.5, 2, 24)
    quality = 30 + 8 * np.log2(rate) / 2 + rng.normal(0, 3, 24) + rng.normal(0, 0.2, (6, 24))
    weights = bd.resampling_weights(24, 1000, seed=3)

    def test_the_same_seed_gives_the_same_weights_and_rows_sum_to_one(self) -> None:
        again = bd.resampling_weights(24, 1000, seed=3)
        assert (again == self.weights).all()
        assert (bd.resampling_weights(24, 1000, seed=4) != self.weights).any()
        assert self.weights.sum(axis=1) == pytest.approx(np.ones(1000))

    def test_a_paired_rate_factor_has_an_interval_of_no_width(self) -> None:
        anchor = bd.mean_curves(self.rate, self.quality, self.weights, "a")
        test = bd.mean_curves(1.1 * self.rate, self.quality, self.weights, "t")
        interval = bd.bootstrap(anchor, test)
        assert interval.result.value == pytest.approx(10)
        assert interval.low == pytest.approx(10)
        assert interval.high == pytest.approx(10)
        assert interval.no_overlap == 0

    def test_a_quality_offset_per_image_gives_the_percentiles_of_its_mean(self) -> None:
        # Equal rates: BD-quality of a resample is the mean offset of the images drawn.
        offset = np.linspace(-1, 2, 24)
        anchor = bd.mean_curves(self.rate, self.quality, self.weights)
        test = bd.mean_curves(self.rate, self.quality + offset, self.weights)
        interval = bd.bootstrap(anchor, test, kind="quality", level=0.9)
        low, high = np.quantile(self.weights @ offset, [0.05, 0.95])
        assert interval.result.value == pytest.approx(0.5)
        assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))

    @pytest.mark.parametrize("method", bd.METHODS)
    @pytest.mark.parametrize("kind", ["rate", "quality"])
    def test_every_method_brackets_its_own_value(self, method: str, kind: Any) -> None:
        anchor = bd.mean_curves(self.rate, self.quality, self.weights[:50])
        noise = np.random.default_rng(1).normal(0.5, 0.3, (6, 24))
        test = bd.mean_curves(self.rate, self.quality + noise, self.weights[:50])
        interval = bd.bootstrap(anchor, test, kind=kind, method=method)
        assert interval.low is not None
        assert interval.high is not None
        assert interval.result.value is not None
        assert interval.low < interval.result.value < interval.high
        json.dumps(interval.to_dict(), allow_nan=False)

    def test_resamples_without_overlap_are_counted_and_left_out(self) -> None:
        # Image 0 is alike for both; image 1 is 15 dB better on 10 dB curves. Only a resample of
        # image 1 alone has no overlap.
        rate = np.repeat(line().rate[:, None], 2, axis=1)
        quality = np.repeat(line().quality[:, None], 2, axis=1)
        weights = bd.resampling_weights(2, 400)
        anchor = bd.mean_curves(rate, quality, weights)
        test = bd.mean_curves(rate, quality + np.array([0, 15]), weights)
        interval = bd.bootstrap(anchor, test)
        alone = int((weights[:, 1] == 1).sum())
        assert 50 < alone < 150
        assert interval.no_overlap == alone
        assert interval.high == pytest.approx(0, abs=1e-9)
        assert interval.low == pytest.approx(100 * (10**-0.75 - 1))

    def test_an_interval_from_a_minority_of_resamples_is_none_with_a_reason(self) -> None:
        rate, quality = np.tile(line().rate, (3, 1)), np.tile(line().quality, (3, 1))
        anchor = bd.ResampledCurves(line(), rate, quality)
        apart = quality + np.array([[0], [15], [15]])  # the curves are 10 dB tall
        interval = bd.bootstrap(anchor, bd.ResampledCurves(line(), rate, apart))
        assert interval.result.value == 0
        assert interval.low is None
        assert interval.high is None
        assert interval.reason == "2 of 3 resamples gave no value"

    def test_pooled_curves_are_total_bits_over_total_pixels_and_psnr_of_mean_mse(self) -> None:
        weights = np.array([[1.0, 0.0], [0.5, 0.5]])
        curves = bd.pooled_curves(
            bits=[[100, 900], [200, 1800]],
            pixels=[100, 300],
            values=[[4.0, 8.0], [1.0, 5.0]],
            weights=weights,
            quality_of=lambda mse: 10 * np.log10(255**2 / mse),
        )
        # Image 0 alone: 100/100 and 200/100 bits a pixel, MSE 4 and 1. Both: 1000/400 and
        # 2000/400; MSE (4*100 + 8*300)/400 = 7 and (1*100 + 5*300)/400 = 4.
        assert curves.rate == pytest.approx(np.array([[1, 2], [2.5, 5]]))
        mse = np.array([[4, 1], [7, 4]])
        assert curves.quality == pytest.approx(20 * np.log10(255) - 10 * np.log10(mse))
        assert curves.curve.quality == pytest.approx(curves.quality[1])

    def test_a_point_that_one_image_lacks_is_left_out_of_every_resample(self) -> None:
        quality = self.quality.copy()
        quality[5, 2] = math.inf
        curves = bd.mean_curves(self.rate, quality, self.weights, "jpeg")
        assert curves.rate.shape == (1000, 5)
        assert curves.curve.warnings[0].startswith("missing: jpeg: point 6")

    def test_curves_of_a_set_metric_can_be_given_directly(self) -> None:
        rate = np.tile(line().rate, (10, 1))
        shift = np.linspace(0, 0.9, 10)[:, None]
        quality = line().quality + shift
        quality[9, 0] = math.nan  # a resample without a value
        anchor = bd.ResampledCurves(line(), rate, np.tile(line().quality, (10, 1)))
        interval = bd.bootstrap(
            anchor, bd.ResampledCurves(line(30.4), rate, quality), kind="quality", level=0.5
        )
        assert interval.no_overlap == 1
        assert (interval.low, interval.high) == (pytest.approx(0.2), pytest.approx(0.6))

    def test_wrong_shapes_are_refused(self) -> None:
        with pytest.raises(WorkbenchError, match=r"must be \[n_points, 24\], got \(24, 6\)"):
            bd.mean_curves(self.rate.T, self.quality.T, self.weights)
        with pytest.raises(WorkbenchError, match="1 image cannot be resampled"):
            bd.resampling_weights(1)
        anchor = bd.mean_curves(self.rate, self.quality, self.weights)
        short = bd.mean_curves(self.rate, self.quality, self.weights[:10])
        with pytest.raises(WorkbenchError, match="1000 resamples of curve but 10 of curve"):
            bd.bootstrap(anchor, short)
        with pytest.raises(WorkbenchError, match="level 95 is outside"):
            bd.bootstrap(anchor, anchor, level=95)


@pytest.mark.parametrize("kind", ["rate", "quality"])
@pytest.mark.parametrize("points", [2, 3, 4, 8])
def test_the_batched_pchip_is_scipys_also_on_dipping_curves(kind: Any, points: int) -> None:
    rng = np.random.default_rng(points)
    curves = [
        (rng.normal(0, 1, (300, points)), 30 + rng.normal(0, 5, (300, points))) for _ in range(2)
    ]
    gaps, done = pchip_gaps(*curves, kind)
    assert done.mean() > 0.5
    for r in np.flatnonzero(done):
        anchor, test = ((log_rate[r], quality[r]) for log_rate, quality in curves)
        expected, _ = average_gap(anchor, test, kind, "pchip")
        assert gaps[r] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_batched_pchip_leaves_ties_to_the_careful_path() -> None:
    log_rate = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    quality = np.array([[30.0, 31.0, 31.0], [30.0, 31.0, 32.0]])
    _, done = pchip_gaps((log_rate, quality), (log_rate, quality), "rate")
    assert done.tolist() == [False, True]


@pytest.mark.parametrize("n_points", [0, 1])
def test_bootstrap_of_curves_too_short_has_a_reason(n_points: int) -> None:
    weights = bd.resampling_weights(5)
    short = bd.mean_curves(np.ones((n_points, 5)), np.ones((n_points, 5)), weights, "short")
    interval = bd.bootstrap(short, short)
    assert interval.low is None
    assert interval.reason
