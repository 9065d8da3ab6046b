"""``workbench diff``: what changed between two runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from workbench import registry, rows
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.store import Store
from workbench_reports.difference import difference

KNOWN = rows.metrics_of(registry.load())
POINTS = 5


def make(
    folder: Path,
    n_images: int = 12,
    factor: float = 1.0,
    lift: float = 0.0,
    dataset: str = "photos",
    version: str = "1.0",
    points: range = range(POINTS),
    failed: tuple[int, ...] = (),
) -> rows.Rows:
    """A run of one codec: bytes double and PSNR gains 3 dB from a point to the next."""
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 1, n_images)
    names = [f"{i}.png" for i in range(n_images)]
    with Store(folder, write=True) as store:
        store.add_items(dataset, [{"name": n, "sha256": f"hash {n}", "width": 100, "height": 100}
                                  for n in names])  # fmt: skip
        store.add_run({"started": "2026-01-01", "plugins": {
            "jpeg": {"versions": {"imagecodecs": version}, "code": "a",
                     "fingerprint": {}}}})  # fmt: skip
        for p in points:
            for i, name in enumerate(names):
                key = f"{dataset}/{p}/{i}"
                error = "ValueError: no" if (i in failed) else None
                coded = {"key": key, "codec": "jpeg", "point": f"q{p}", "width": 100,
                         "height": 100, "image_sha256": f"hash {name}", "encode_s": 0.5,
                         "stream": "s", "error": error}  # fmt: skip
                store.append("coded", [coded])
                if error:
                    continue
                rate = factor * 0.1 * 2**p * (1.1 + 0.1 * hard[i])
                store.append("decoded", [{"key": key, "output": "image", "audience": "any",
                                          "needs": "main", "rate_bpp": rate, "decode_s": 0.25,
                                          "container_rate_bpp": rate, "n_bytes": round(rate * 1250),
                                          "container_bytes": 9,
                                          "picture_xxh3": f"{p}{lift}"}])  # fmt: skip
                store.append("scores", [{"key": key, "output": "image", "task": "psnr",
                                         "task_key": "1", "metric": "psnr_rgb",
                                         "value": 26 + 3 * p - hard[i] + lift}])  # fmt: skip
    return rows.load(folder)


def test_the_same_run_twice_has_no_changes(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    found = difference(run, run, KNOWN)
    assert found["changes"] == []
    assert found["pictures"] == []
    assert found["versions"] == []
    # Rate, PSNR and two times at five points.
    assert (found["n_compared"], found["n_same"]) == (20, 20)
    [row] = found["curves"]
    assert row["bd_rate_percent"] == pytest.approx(0)
    assert not row["significant"]


def test_a_tenth_fewer_bytes_is_a_significant_change_and_minus_ten_percent(tmp_path: Path) -> None:
    before, after = make(tmp_path / "a"), make(tmp_path / "b", factor=0.9, version="2.0")
    found = difference(before, after, KNOWN)
    assert {row["quantity"] for row in found["changes"]} == {"rate_bpp"}
    assert all(row["significant"] and row["high"] < 0 for row in found["changes"])
    assert [row["relative"] for row in found["changes"]] == [pytest.approx(-0.1)] * POINTS
    [row] = found["curves"]
    assert row["bd_rate_percent"] == pytest.approx(-10)
    assert row["significant"]
    assert found["versions"] == [
        {"plugin": "jpeg", "versions": {"imagecodecs": ["1.0", "2.0"]}, "code_differs": False,
         "weights_differ": False}
    ]  # fmt: skip


def test_a_change_of_few_pictures_is_no_significant_one_and_stands_last(tmp_path: Path) -> None:
    # Four pictures: the smallest p-value of the signed-rank test is 2/16.
    before = make(tmp_path / "a", n_images=4)
    after = make(tmp_path / "b", n_images=4, lift=0.5)
    found = difference(before, after, KNOWN)
    assert [row["p"] for row in found["changes"]] == [pytest.approx(0.125)] * POINTS
    assert not any(row["significant"] for row in found["changes"])
    assert [row["change"] for row in found["changes"]] == [pytest.approx(0.5)] * POINTS
    assert [(row["n_differ"], row["n_images"]) for row in found["pictures"]] == [(4, 4)] * POINTS


def test_cells_and_failures_of_one_run_alone_are_listed(tmp_path: Path) -> None:
    before = make(tmp_path / "a", points=range(3), failed=(2,))
    after = make(tmp_path / "b", points=range(1, 4))
    found = difference(before, after, KNOWN)
    assert [(row["point"], row["n_images"]) for row in found["only_before"]] == [("q0", 11)]
    assert ("q3", 12) in [(row["point"], row["n_images"]) for row in found["only_after"]]
    assert {(row["image"], row["fails"]) for row in found["failures"]} == {("2.png", "before")}
    assert found["changes"] == []


def test_runs_without_anything_in_common_are_refused(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    with pytest.raises(WorkbenchError, match="no dataset in common: photos and scans"):
        difference(run, make(tmp_path / "b", dataset="scans"), KNOWN)
    with pytest.raises(WorkbenchError, match="no cell in common"):
        difference(run, make(tmp_path / "c", points=range(7, 9)), KNOWN)


def test_the_command_prints_tables_and_json(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", factor=0.9)
    arguments = ["diff", str(tmp_path / "a"), str(tmp_path / "b")]
    printed = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert printed.exit_code == 0, printed.output
    assert "20 values compared: 15 the same, 5 changed, 5 of them significantly" in printed.output
    assert "significant" in printed.output
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert len(found["changes"]) == POINTS
    for row in found["changes"]:
        assert f" {row['codec']} " in printed.output
        assert f" {row['point']} " in printed.output
        assert f" {row['quantity']} " in printed.output
