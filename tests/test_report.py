from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from workbench import plain, rows
from workbench.api import Metric
from workbench.cli.report import rate_range, report
from workbench.errors import WorkbenchError
from workbench.scoring import resampling_counts
from workbench.store import Store
from workbench_reports import Options, Report, write
from workbench_reports.collect import short_name

METRICS = {
    "psnr_rgb": Metric("psnr_rgb", "PSNR-RGB", "PSNR over R, G, B", "dB", pool="mse"),
    "lpips": Metric("lpips", "LPIPS", "distance", higher_is_better=False),
    "map": Metric("map", "mAP", "mean average precision", limits=(0, 100), pool="set"),
}
SIZES = {"a.png": (100, 100), "b.png": (200, 100), "c.png": (100, 100), "d.png": (100, 100)}


def psnr(mse: float) -> float:
    return 10 * math.log10(255**2 / mse)


@dataclass
class Run:
    """Writes a run directory cell by cell, as a run would."""

    path: Path
    dataset: str = "photos"
    sizes: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(SIZES))
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def cell(
        self, codec: str, point: str, image: str, outputs: dict[str, dict[str, Any]],
        error: str | None = None, version: int = 1,
    ) -> None:  # fmt: skip
        """``outputs``: n_bytes, audience, needs and metric values, or an error, by output."""
        width, height = self.sizes[image]
        key = f"{codec}/{point}/{self.dataset}/{image}/{version}"
        coded = {"key": key, "codec": codec, "point": point, "image_sha256": self.sha256(image),
                 "width": width, "height": height, "encode_s": 0.25, "error": error}  # fmt: skip
        self.tables.setdefault("coded", []).append(coded)
        for output, found in outputs.items():
            row = {"key": key, "output": output, "error": found.get("error")}
            if "n_bytes" in found:
                rate = 8 / (width * height)
                row |= {"n_bytes": found["n_bytes"], "rate_bpp": rate * found["n_bytes"],
                        "container_bytes": found["n_bytes"] + 50, "decode_s": 0.125,
                        "container_rate_bpp": rate * (found["n_bytes"] + 50),
                        "audience": found.get("audience", "any"),
                        "needs": found.get("needs", "main")}  # fmt: skip
            self.tables.setdefault("decoded", []).append(row)
            for metric, value in found.get("metrics", {}).items():
                finite = value is not None and math.isfinite(value)
                score = {"key": key, "output": output, "task": "quality", "task_key": "1",
                         "metric": metric, "value": value if finite else None,
                         "reason": None if finite else "identical pictures"}  # fmt: skip
                self.tables.setdefault("scores", []).append(score)

    def set(
        self, codec: str, point: str, output: str, metric: str, value: float | None,
        reference: str = "dataset", resamples: str | None = None,
    ) -> None:  # fmt: skip
        row = {"key": f"{codec}/{point}/{output}/{reference}", "dataset": self.dataset,
               "codec": codec, "point": point, "output": output, "task": "detection",
               "metric": metric, "value": value, "reference": reference,
               "reason": None if value is not None else "no boxes", "resamples": resamples,
               "n_images": len(self.sizes)}  # fmt: skip
        self.tables.setdefault("sets", []).append(row)

    def sha256(self, image: str) -> str:
        return hashlib.sha256(f"{self.dataset}/{image}".encode()).hexdigest()

    def write(self) -> rows.Rows:
        items = [{"name": n, "sha256": self.sha256(n), "width": w, "height": h}
                 for n, (w, h) in self.sizes.items()]  # fmt: skip
        with Store(self.path, write=True) as store:
            store.add_items(self.dataset, items)
            store.add_run({"started": "2026-01-01T00:00:00+00:00", "command": ["workbench", "run"],
                           "plugins": {"jpeg": {"versions": {"imagecodecs": "1.0"}}}})  # fmt: skip
            for table, found in self.tables.items():
                store.append(table, found)
        return rows.load(self.path)


def curve(run: Run, codec: str, factor: float = 1.0, output: str = "image", **more: Any) -> None:
    """Five points: bytes double and PSNR gains 3 dB from one to the next; pictures differ."""
    for p in range(5):
        for i, image in enumerate(run.sizes):
            width, height = run.sizes[image]
            n_bytes = round(factor * width * height / 100 * 2**p * (1 + i))
            metrics = {"psnr_rgb": 26.0 + 3 * p - i, "lpips": 0.5 - 0.1 * p + 0.01 * i}
            run.cell(codec, f"q{p}", image, {output: {"n_bytes": n_bytes, "metrics": metrics,
                                                      **more}})  # fmt: skip


@pytest.fixture
def make_report(tmp_path: Path) -> Callable[..., Report]:
    def make(run: Run | rows.Rows, **options: Any) -> Report:
        loaded = run.write() if isinstance(run, Run) else run
        return write(loaded, METRICS, tmp_path / "report", Options(resamples=100, **options))

    return make


def data_of(made: Report) -> dict[str, Any]:
    """The data of the page, which must be the file beside it."""
    text = made.page.read_text().split('<script type="application/json" id="data">')[1]
    data: dict[str, Any] = json.loads(text.split("</script>")[0])
    assert data == json.loads((made.out / "report.json").read_text())
    return data


def bd_of(made: Report, **wanted: Any) -> dict[str, Any]:
    (found,) = [r for r in made.bd["rows"] if all(r[k] == v for k, v in wanted.items())]
    return found


def rd_of(made: Report, **wanted: Any) -> dict[str, Any]:
    (found,) = [r for r in made.rd["rows"] if all(r[k] == v for k, v in wanted.items())]
    return found


def test_rates_and_psnr_come_in_both_aggregations(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run", sizes={"a.png": (100, 100), "b.png": (200, 100)})
    for image, mse in (("a.png", 100.0), ("b.png", 40.0)):
        run.cell("jpeg", "q1", image, {"image": {"n_bytes": 1000,
                                                 "metrics": {"psnr_rgb": psnr(mse)}}})  # fmt: skip
    row = rd_of(make_report(run))
    # 8000 bits over 10,000 pixels are 0.8 bpp, over 20,000 are 0.4: the mean is 0.6; together
    # 16,000 bits over 30,000 pixels.
    assert row["rate_bpp_mean"] == pytest.approx(0.6)
    assert row["rate_bpp_pooled"] == pytest.approx(16 / 30)
    # 50 bytes of container are 0.04 and 0.02 bpp.
    assert row["container_rate_bpp_mean"] == pytest.approx(0.63)
    # MSEs of 100 and 40: (1*100 + 2*40) / 3 = 60.
    assert row["metrics"]["psnr_rgb"]["pooled"] == pytest.approx(10 * math.log10(65025 / 60))
    # 28.1308 dB and 32.1102 dB.
    assert row["metrics"]["psnr_rgb"]["mean"] == pytest.approx(30.1205, abs=1e-4)
    assert (row["encode_s"], row["decode_s"], row["n_images"]) == (0.25, 0.125, 2)


def test_identical_pictures_leave_the_mean_empty_and_pool_as_no_error(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run", sizes={"a.png": (100, 100), "b.png": (100, 100)})
    for image, value in (("a.png", math.inf), ("b.png", psnr(100.0))):
        run.cell("jpeg", "q1", image, {"image": {"n_bytes": 1000, "metrics": {"psnr_rgb": value}}})
    made = make_report(run)
    score = rd_of(made)["metrics"]["psnr_rgb"]
    assert score["mean"] is None
    assert score["mean_reason"] == "1 of 2 pictures are without error: PSNR-RGB is infinite"
    assert score["pooled"] == pytest.approx(psnr(50.0))  # MSEs of 0 and 100
    assert "1 of 2 pictures are without error" in (made.out / "rd.md").read_text()
    assert "1 of 2 pictures are without error" in (made.out / "rd.csv").read_text()


def test_half_the_bytes_at_equal_quality_is_minus_50_percent_for_every_method_and_resample(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "webp", 0.5)
    curve(run, "jpeg")
    made = make_report(run)
    assert made.bd["anchor"] == "jpeg"
    assert made.anchor == "Anchor: jpeg, by default: --anchor names another."
    for metric in ("psnr_rgb", "lpips"):
        for method in ("pchip", "cubic", "akima"):
            row = bd_of(made, metric=metric, curve="webp", method=method)
            assert row["bd_rate_percent"] == pytest.approx(-50)
        row = bd_of(made, metric=metric, curve="webp", method="pchip")
        assert row["bd_rate_low_percent"] == pytest.approx(-50)
        assert row["bd_rate_high_percent"] == pytest.approx(-50)
        assert row["quality_overlap"] == pytest.approx(1)
        # Rates span 16:1 = 1.204 decades and lie 0.301 apart: 0.903 of 1.505 decades are shared.
        assert row["warnings"] == [
            "BD-quality: overlap: the curves share 60.0 % of their log10 rate range, less than 75 %"
        ]
    # PSNR gains 3 dB a doubling of the bytes; LPIPS loses 0.1, and lower is better.
    assert bd_of(made, metric="psnr_rgb", method="pchip")["bd_quality"] == pytest.approx(3)
    assert bd_of(made, metric="lpips", method="pchip")["bd_quality"] == pytest.approx(-0.1)
    pairs = {(r["anchor"], r["curve"]): r["bd_rate_percent"]
             for r in made.bd["matrix"] if r["metric"] == "psnr_rgb"}  # fmt: skip
    assert pairs == {
        ("jpeg", "jpeg"): pytest.approx(0), ("jpeg", "webp"): pytest.approx(-50),
        ("webp", "jpeg"): pytest.approx(100), ("webp", "webp"): pytest.approx(0),
    }  # fmt: skip


def test_pooled_bd_rates_weigh_pictures_by_their_pixels(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run", sizes={"a.png": (100, 100), "b.png": (300, 100)})
    for codec, bytes_of in (("jpeg", (100, 300)), ("webp", (100, 150))):
        for p in range(5):
            for image, n_bytes in zip(run.sizes, bytes_of, strict=True):
                values = {"psnr_rgb": 26.0 + 3 * p}
                run.cell(codec, f"q{p}", image, {"image": {"n_bytes": n_bytes * 2**p,
                                                           "metrics": values}})  # fmt: skip
    made = make_report(run, aggregation="pooled")
    # 400 against 250 bytes: -37.5 %. The mean of bpp would say (0.08 + 0.04) / 0.16: -25 %.
    assert bd_of(made, method="pchip")["bd_rate_percent"] == pytest.approx(-37.5)


def test_a_failed_cell_narrows_the_comparison_and_is_named(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    curve(run, "webp", 0.5)
    coded = next(r for r in run.tables["coded"] if r["key"] == "webp/q2/photos/d.png/1")
    coded["error"] = "webp: out of <memory>"
    run.tables["decoded"] = [r for r in run.tables["decoded"] if r["key"] != coded["key"]]
    run.tables["scores"] = [r for r in run.tables["scores"] if r["key"] != coded["key"]]
    made = make_report(run, metrics=["psnr_rgb"])
    row = rd_of(made, codec="webp", point="q2")
    assert (row["n_images"], row["n_dataset"], row["n_failed"]) == (3, 4, 1)
    assert row["warnings"] == ["partial: 3 of 4 pictures, 1 failed"]
    compared = bd_of(made, metric="psnr_rgb", curve="webp", method="pchip")
    assert compared["n_images"] == 3
    assert compared["bd_rate_percent"] == pytest.approx(-50)
    assert "compared on 3 of 4 pictures" in compared["warnings"][0]
    assert made.failures == [
        {"dataset": "photos", "codec": "webp", "point": "q2", "output": None, "image": "d.png",
         "stage": "encode", "error": "webp: out of <memory>"}
    ]  # fmt: skip
    page = made.page.read_text()
    assert r"webp: out of \u003cmemory>" in page
    assert "<memory>" not in page
    assert "webp: out of &lt;memory&gt;" in (made.out / "report.md").read_text()


def test_a_codec_that_only_failed_is_reported_without_numbers(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    for image in run.sizes:
        run.cell("broken", "q1", image, {}, error="ValueError: no")
    made = make_report(run, metrics=["psnr_rgb"])
    row = rd_of(made, codec="broken")
    assert (row["n_images"], row["n_failed"], row["rate_bpp_mean"]) == (0, 4, None)
    assert len(made.failures) == 4
    assert made.bd["rows"] == []
    assert "a.png, b.png, c.png and 1 more" in (made.out / "report.md").read_text()


def test_layers_are_paired_with_their_audience_and_enhancement_bits_stand_alone(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    for p in range(5):
        for image, (width, height) in run.sizes.items():
            base, whole = width * height // 100 * 2**p, width * height // 40 * 2**p
            outputs = {
                "machine": {"n_bytes": base, "audience": "machine", "needs": "base"},
                "human": {"n_bytes": whole, "audience": "human", "needs": "base,enhancement",
                          "metrics": {"psnr_rgb": 25.0 + 3 * p}},
            }  # fmt: skip
            run.cell("fusion", f"q{p}", image, outputs)
    for p in range(5):
        run.set("jpeg", f"q{p}", "image", "map", 20.0 + 4 * p)
        run.set("fusion", f"q{p}", "machine", "map", 30.0 + 4 * p)
    made = make_report(run)
    human = rd_of(made, codec="fusion", point="q0", output="human")
    # 1/40 and 1/100 of a byte a pixel.
    assert human["rate_bpp_mean"] == pytest.approx(8 / 40)
    assert human["enhancement_bpp_mean"] == pytest.approx(8 / 40 - 8 / 100)
    assert human["enhancement_of"] == "machine"
    machine = rd_of(made, codec="fusion", point="q0", output="machine")
    assert machine["enhancement_bpp_mean"] is None
    assert machine["metrics"]["map"] == {
        "mean": None, "mean_reason": "only the whole set has a value", "pooled": 30.0,
        "pooled_reason": None, "n_images": 4,
    }  # fmt: skip
    panels = {(r["metric"], r["audience"], r["output"]) for r in made.bd["rows"]}
    assert panels == {("psnr_rgb", "human", "human"), ("map", "machine", "machine")}
    row = bd_of(made, metric="map", method="pchip")
    assert row["bd_rate_percent"] < 0
    assert row["bd_rate_low_percent"] is None
    assert row["bd_rate_interval_reason"] == (
        "these scores have no values on resamples of all pictures"
    )
    # Values in percent also get MPEG's fit.
    assert bd_of(made, metric="map", method="vcm-monotone-cubic")["bd_rate_percent"] < 0
    assert "enhancement bpp" in (made.out / "rd.md").read_text()


def test_a_set_without_a_value_says_why(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    run.set("jpeg", "q0", "image", "map", None)
    run.set("jpeg", "q1", "image", "map", 20.0)
    score = rd_of(make_report(run), point="q0")["metrics"]["map"]
    assert (score["pooled"], score["pooled_reason"]) == (None, "no boxes")


def test_scores_of_resampled_sets_give_intervals_with_the_rates_of_the_same_resamples(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run", sizes={"a.png": (100, 100), "b.png": (100, 100)})
    counts = resampling_counts(2)
    with Store(run.path, write=True) as store:
        for codec, factor in (("jpeg", 1.0), ("webp", 0.5)):
            for p in range(5):
                # The second picture scores 10 more and has twice the bytes.
                values = np.array([20.0 + 5 * p, 30.0 + 5 * p])
                blob = store.put_blob(plain.dumps(counts @ values / 2))
                run.set(codec, f"q{p}", "image", "map", values.mean(), "self", blob)
                for image, n_bytes in (("a.png", 100), ("b.png", 200)):
                    n_bytes = round(factor * n_bytes * 2**p)
                    run.cell(codec, f"q{p}", image, {"image": {"n_bytes": n_bytes}})
    made = make_report(run)
    # Half the bytes for the same score in every resample, because both are resampled alike.
    row = bd_of(made, metric="map@self", method="pchip")
    assert (row["bd_rate_percent"], row["bd_rate_low_percent"], row["bd_rate_high_percent"]) == (
        pytest.approx(-50), pytest.approx(-50), pytest.approx(-50),
    )  # fmt: skip
    assert row["n_resamples"] == len(counts)
    # A score doubles its bytes every 5 points.
    assert row["bd_quality_low"] == pytest.approx(5)
    assert "mAP, own reference" in (made.out / "bd.md").read_text()
    assert "what the task itself predicts on the original pictures" in made.page.read_text()


def test_a_lossless_codec_of_one_point_is_a_line_and_is_not_compared(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    for image, (width, height) in run.sizes.items():
        values = {"psnr_rgb": math.inf, "lpips": 0.0}
        run.cell("png", "lossless", image, {"image": {"n_bytes": width * height * 2,
                                                      "metrics": values}})  # fmt: skip
    curve(run, "webp", 0.5)
    curve(run, "avif")
    made = make_report(run, metrics=["lpips"])
    assert made.bd["anchor"] == "webp"
    assert {r["curve"] for r in made.bd["rows"]} == {"avif"}
    assert {r["anchor"] for r in made.bd["matrix"]} == {"avif", "webp"}
    assert rd_of(made, codec="png")["metrics"]["lpips"]["mean"] == 0


def test_a_curve_without_any_usable_point_is_null_with_a_reason(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    for p in range(2):
        for i, image in enumerate(run.sizes):
            # At either point half of the pictures are lossless, and not the same half.
            values = {"psnr_rgb": math.inf if (i + p) % 2 else 30.0 + p}
            run.cell("webp", f"q{p}", image, {"image": {"n_bytes": 100 + p, "metrics": values}})
    row = bd_of(make_report(run), metric="psnr_rgb", method="pchip")
    assert row["bd_rate_percent"] is None
    assert row["bd_rate_reason"] == "a curve needs two points at least"
    assert row["bd_rate_interval_reason"] == row["bd_rate_reason"]
    assert "2 of 4 pictures are without error" in " ".join(row["warnings"])


def test_a_picture_that_is_infinite_at_every_point_is_left_out_of_means_and_named(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    curve(run, "webp", 0.5)
    for score in run.tables["scores"]:
        if score["metric"] == "psnr_rgb" and "jpeg" in score["key"] and "a.png" in score["key"]:
            score |= {"value": None, "reason": "identical pictures"}
    made = make_report(run, metrics=["psnr_rgb"])
    row = rd_of(made, codec="jpeg", point="q0")
    # The pictures b, c and d have 25, 24 and 23 dB.
    assert row["metrics"]["psnr_rgb"]["mean"] == pytest.approx(24)
    assert row["metrics"]["psnr_rgb"]["n_images"] == 3
    assert row["warnings"] == [
        "partial: psnr_rgb of 3 of 4 pictures, 1 are infinite at every point"
    ]
    compared = bd_of(made, method="pchip")
    assert compared["n_images"] == 3
    assert compared["bd_rate_percent"] == pytest.approx(-50)


@pytest.mark.parametrize(
    ("dataset", "short"),
    [
        ("kodak", "kodak"),
        ("folder:/data/kodak/", "kodak"),
        ("folder:.", "folder"),
        ("coco:/data/coco/val/images:/data/coco/val/instances.json", "coco/val"),
        ("folder:images", "images"),
    ],
)
def test_datasets_have_short_names(dataset: str, short: str) -> None:
    assert short_name(dataset) == short


def test_json_has_no_nan_and_csv_reads_back(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    curve(run, "webp", 0.5)
    run.cell("webp", "q9", "a.png", {"image": {"error": "StreamError: cut"}})
    made = make_report(run, metrics=["psnr_rgb"])

    def refuse(name: str) -> None:
        raise AssertionError(name)

    for name in ("rd", "bd"):
        json.loads((made.out / f"{name}.json").read_text(), parse_constant=refuse)
    read = list(csv.DictReader((made.out / "rd.csv").read_text().splitlines()))
    assert len(read) == 11
    assert read[-1]["psnr_rgb_mean"] == ""
    assert float(read[0]["psnr_rgb_mean"]) == rd_of(made, codec="jpeg", point="q0")["metrics"][
        "psnr_rgb"]["mean"]  # fmt: skip


NASTY = "<script>alert(1)</script>|$\\q_{%&"


def test_names_with_markup_are_text_everywhere(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run", dataset="folder:<i>my|photos</i>")
    curve(run, "jpeg")
    curve(run, NASTY, 0.5)
    made = make_report(run, metrics=["psnr_rgb"])
    page = made.page.read_text()
    assert "<script>alert" not in page
    assert "<i>" not in page
    assert NASTY in {c["codec"] for c in data_of(made)["curves"]}
    marked = r"&lt;script&gt;alert(1)&lt;/script&gt;\|$\\q\_{%&amp;"
    assert marked in (made.out / "rd.md").read_text()
    escaped = (
        r"\textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{}"
        r"\textbar{}\$\textbackslash{}q\_\{\%\&"
    )
    assert escaped in (made.out / "rd.tex").read_text()
    assert all(path.name.isascii() for path in (made.out / "figures").iterdir())


def test_latex_rows_have_as_many_cells_as_the_column_line(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    curve(run, "webp", 0.5)
    made = make_report(run, metrics=["psnr_rgb"])
    text = (made.out / "rd.tex").read_text()
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 2
    columns = text.split(r"\begin{longtable}{@{}")[1].split("@{}}")[0]
    body = text.split(r"\endlastfoot")[1].split(r"\end{longtable}")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 10
    assert {line.count("&") + 1 for line in lines} == {len(columns)}
    assert r"\textminus{}50.0" in (made.out / "bd.tex").read_text()


def test_an_unknown_anchor_metric_method_or_aggregation_is_refused_with_the_nearest_name(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    loaded = run.write()
    for options, message in (
        ({"anchor": "jpgg"}, r"--anchor 'jpgg': no such codec here. Did you mean 'jpeg'\?"),
        ({"anchor": "jpeg/imag"}, r"jpeg has no output 'imag'. Did you mean 'image'\?"),
        ({"codecs": ["jpeg", "jpg"]}, r"--codecs 'jpg': did not run here. Did you mean 'jpeg'\?"),
        ({"metrics": ["psnr"]}, r"--metric 'psnr': no values of it here. Did you mean 'psnr_rgb'"),
        ({"method": "pship"}, r"Did you mean 'pchip'\?"),
        ({"aggregation": "median"}, "must be one of mean, pooled"),
    ):
        with pytest.raises(WorkbenchError, match=message):
            make_report(loaded, **options)


def test_a_range_of_rates_leaves_out_points_by_their_mean_rate(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "webp", 0.5)
    curve(run, "jpeg")
    loaded = run.write()
    # Bytes are 1 to 4 hundredths of the pixels times 2^p: jpeg has 0.2 bpp times 2^p, webp half.
    made = make_report(loaded, rates=(0.3, 1.0))
    points = [(r["codec"], r["point"]) for r in made.rd["rows"]]
    assert sorted(points) == [("jpeg", "q1"), ("jpeg", "q2"), ("webp", "q2"), ("webp", "q3")]
    assert "only points from 0.3 to 1 bpp, mean of the pictures: 6 are left out" in made.notes
    assert not any("missing" in note for row in made.bd["rows"] for note in row["warnings"])
    for rates, message in (
        ((4.0, 5.0), r"no point lies there; rates here are 0.1 to 3.2 bpp"),
        ((1.0, 0.1), "the lower one first"),
    ):
        with pytest.raises(WorkbenchError, match=message):
            make_report(loaded, rates=rates)
    with pytest.raises(WorkbenchError, match="must be two rates in bpp with two dots between"):
        rate_range("1")


def test_a_report_of_some_codecs_leaves_the_others_out(tmp_path: Path, make_report: Any) -> None:
    run = Run(tmp_path / "run")
    for name in ("jpeg", "webp", "avif"):
        curve(run, name)
    made = make_report(run, codecs=["jpeg", "avif"])
    assert {r["codec"] for r in made.rd["rows"]} == {"jpeg", "avif"}
    assert {r["curve"] for r in made.bd["matrix"]} == {"jpeg", "avif"}


def test_an_empty_run_and_a_blocked_folder_are_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    loaded = run.write()
    with pytest.raises(WorkbenchError, match="no measured pictures"):
        write(loaded, METRICS, tmp_path / "report")
    full = Run(tmp_path / "full")
    curve(full, "jpeg")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot be written"):
        write(full.write(), METRICS, tmp_path / "file")


def test_one_codec_alone_gives_points_and_curves_but_no_comparison(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "avif")
    made = make_report(run, metrics=["psnr_rgb"])
    assert made.bd["anchor"] == "avif"
    assert made.anchor == "Anchor: avif, by default: --anchor names another."
    assert made.bd["rows"] == []
    names = sorted(path.name for path in (made.out / "figures").iterdir())
    stem = "rd-photos-psnr_rgb-any"
    assert names == [f"{stem}.png", f"{stem}.svg", f"{stem}.tex"]


def test_datasets_stand_in_sections_of_their_own(tmp_path: Path, make_report: Any) -> None:
    paths = []
    for dataset in ("folder:/data/kodak", "clic"):
        run = Run(tmp_path / dataset.rpartition("/")[2], dataset=dataset)
        curve(run, "jpeg")
        curve(run, "webp", 0.5)
        run.write()
        paths.append(run.path)
    made = make_report(rows.load(*paths), metrics=["psnr_rgb"])
    assert [r["dataset"] for r in made.bd["rows"] if r["method"] == "pchip"] == [
        "folder:/data/kodak", "clic",
    ]  # fmt: skip
    text = (made.out / "report.md").read_text()
    assert "## Dataset kodak" in text
    assert "## Dataset clic" in text


def reference_file(path: Path, **changes: Any) -> Path:
    content = {
        "dataset": "photos",
        "curves": {
            "published jpeg": {
                "bpp": [0.8, 0.2, 0.4],
                "psnr_rgb_db": [32.0, 26.0, 29.0],
                "source": "A <b>book</b>",
            }
        },
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_published_curves_are_drawn_where_dataset_and_metric_match(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    loaded = run.write()
    made = make_report(loaded, metrics=["psnr_rgb"], log_rate=True)
    figure = made.out / "figures" / "rd-photos-psnr_rgb-any.svg"
    without = figure.read_bytes()
    file = reference_file(tmp_path / "reference.json")
    with_reference = make_report(loaded, metrics=["psnr_rgb"], log_rate=True, references=[file])
    assert figure.read_bytes() != without
    [panel] = data_of(with_reference)["panels"]
    assert [(r["label"], r["source"]) for r in panel["references"]] == [
        ("published jpeg", "A <b>book</b>")
    ]
    other = reference_file(tmp_path / "other.json", dataset="kodak")
    elsewhere = make_report(loaded, metrics=["psnr_rgb"], log_rate=True, references=[other])
    # The same rows give the same bytes.
    assert figure.read_bytes() == without
    assert elsewhere.notes == [
        "published curves of kodak are not drawn: the datasets here are photos"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", 'has no "curves"'),
        ('{"curves": {"x": {"bpp": [1, "2"]}}}', "'2' is no finite number"),
        ('{"curves": {"x": {"bpp": [1, 2], "psnr_rgb": [1]}}}', "psnr_rgb has 1 values, bpp 2"),
        ('{"curves": {"x": {"psnr_rgb": [1]}}}', "bpp: must be a list of numbers"),
    ],
)
def test_a_bad_reference_file_is_refused(
    tmp_path: Path, make_report: Any, content: str, message: str
) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(WorkbenchError, match=message):
        make_report(run, references=[tmp_path / "bad.json"])


def test_the_published_kodak_curves_can_be_read(shared: Path) -> None:
    from workbench_reports.reference import load_reference

    found = load_reference(shared / "reference" / "kodak_published.json")
    assert all(curve.fits("folder:/photos/Kodak") for curve in found)
    assert not any(curve.fits("folder:/kodak/clic") for curve in found)
    assert all(curve.of(METRICS["psnr_rgb"]) for curve in found)


def test_a_metric_that_no_plugin_describes_is_reported_with_a_note(
    tmp_path: Path, make_report: Any
) -> None:
    run = Run(tmp_path / "run", sizes={"a.png": (100, 100)})
    run.cell("jpeg", "q1", "a.png", {"image": {"n_bytes": 100, "metrics": {"mystery": 3.0}}})
    made = make_report(run)
    assert rd_of(made)["metrics"]["mystery"]["mean"] == 3.0
    assert "no installed plugin describes the metric 'mystery'" in made.notes[0]


def test_the_command_writes_a_report_and_prints_json(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    curve(run, "jpeg")
    curve(run, "webp", 0.5)
    run.write()
    app = typer.Typer()
    app.command()(report)
    printed = CliRunner().invoke(
        app, [str(run.path), "--anchor", "webp", "--metric", "psnr_rgb", "--json"]
    )
    assert printed.exit_code == 0, printed.output
    found = json.loads(printed.stdout)
    (row,) = [r for r in found["bd"]["rows"] if r["method"] == "pchip"]
    assert row["bd_rate_percent"] == pytest.approx(100)
    written = {path.name for path in (run.path / "report").iterdir()}
    assert written == {
        "rd.csv", "rd.md", "rd.tex", "rd.json", "bd.csv", "bd.md", "bd.tex", "bd.json",
        "bd_matrix.csv", "report.md", "index.html", "figures", "per_image.csv", "report.json",
        "pictures",
    }  # fmt: skip
    table = CliRunner().invoke(
        app, [str(run.path), "--out", str(tmp_path / "other"), "--metric", "psnr_rgb"]
    )
    assert table.exit_code == 0, table.output
    assert "-50.0" in table.stdout
    assert (tmp_path / "other" / "index.html").is_file()
