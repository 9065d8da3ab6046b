"""``workbench bd`` on CSV files, good and bad."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from workbench.cli.bd import bd
from workbench.errors import WorkbenchError

# One decade, 10 dB; the test file is the same curve 1 dB higher and half the LPIPS steps lower.
ANCHOR = """codec,rate_bpp,psnr_db,lpips
jpeg,0.1,30,0.40
jpeg,0.2,33.0103,0.30
jpeg,0.4,36.0206,0.20
jpeg,0.8,39.0309,0.10
"""
TEST = """codec,rate_bpp,psnr_db,lpips
webp,0.8,40.0309,0.05
webp,0.4,37.0206,0.15
webp,0.2,34.0103,0.25
webp,0.1,31,0.35
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("bd")(bd)
    app.command("other")(lambda: None)  # with one command typer would drop its name
    return app


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "jpeg.csv").write_text(ANCHOR)
    (tmp_path / "webp.csv").write_text(TEST)
    return str(tmp_path / "jpeg.csv"), str(tmp_path / "webp.csv")


def refused(app: typer.Typer, *arguments: str) -> str:
    """Run the command and return the one-line error it must end with."""
    result = CliRunner().invoke(app, ["bd", *arguments])
    assert isinstance(result.exception, WorkbenchError), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message


def test_json_holds_one_entry_a_metric(app: typer.Typer, files: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["bd", *files, "--json", "--lower-is-better", "lpips"])
    assert result.exit_code == 0, result.output
    psnr, lpips = json.loads(result.output)
    assert (psnr["metric"], lpips["metric"]) == ("psnr_db", "lpips")
    # 10 dB a decade, so 1 dB is a tenth of a decade: 100 * (10^-0.1 - 1) = -20.567 %.
    assert psnr["bd_rate_percent"]["value"] == pytest.approx(-20.5672, abs=1e-4)
    assert psnr["bd_quality"]["value"] == pytest.approx(1, abs=1e-6)
    # 0.05 of the 0.1 that a doubling of the rate buys: 100 * (sqrt(0.5) - 1).
    assert lpips["bd_rate_percent"]["value"] == pytest.approx(-29.2893, abs=1e-4)
    assert lpips["bd_quality"]["value"] == pytest.approx(-0.05)
    assert lpips["bd_quality"]["warnings"] == []


def test_the_table_shows_values_and_warnings(app: typer.Typer, files: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["bd", *files])
    assert result.exit_code == 0, result.output
    assert "-20.57" in result.output
    assert "lpips: falling: jpeg.csv: quality gets worse with every step of rate" in result.output


def test_only_the_metrics_asked_for_are_compared(app: typer.Typer, files: tuple[str, str]) -> None:
    result = CliRunner().invoke(
        app, ["bd", *files, "--metric", "psnr_db", "--method", "akima", "--json"]
    )
    (row,) = json.loads(result.output)
    assert row["metric"] == "psnr_db"
    assert row["bd_rate_percent"]["method"] == "akima"


def test_curves_that_do_not_overlap_show_a_reason_and_null(
    app: typer.Typer, files: tuple[str, str]
) -> None:
    Path(files[1]).write_text("bitrate;psnr_db\n0.1;60\n0.2;63.0103\n0.8;69.0309\n")
    result = CliRunner().invoke(app, ["bd", *files])
    assert result.exit_code == 0
    assert "no BD-rate: no overlap: the qualities are 30..39.0309 and 60..69.0309" in result.output
    (row,) = json.loads(CliRunner().invoke(app, ["bd", *files, "--json"]).output)
    assert row["bd_rate_percent"]["value"] is None
    assert row["bd_quality"]["value"] == pytest.approx(30, abs=1e-3)


def test_an_empty_cell_is_a_missing_point_with_a_warning(
    app: typer.Typer, files: tuple[str, str]
) -> None:
    Path(files[1]).write_text(TEST.replace("37.0206", ""))
    result = CliRunner().invoke(app, ["bd", *files, "--metric", "psnr_db"])
    assert result.exit_code == 0
    assert "psnr_db: missing: webp.csv: point 2 (rate 0.4, quality nan) left out" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEST.replace("0.4,", "o.4,"), "webp.csv:3: rate_bpp 'o.4' is not a number"),
        (TEST.replace("0.4,", "0,"), "webp.csv: rate 0 at point 2 must be above 0"),
        (TEST.replace("0.4,37.0206", "0.4"), "webp.csv:3: 3 cells, but the header has 4"),
        (
            TEST.replace("rate_bpp", "size"),
            "no numeric column with rate, bpp or bps in its name among "
            "codec, size, psnr_db, lpips: name one with --rate",
        ),
        (TEST.replace("lpips", "psnr_db"), "column 'psnr_db' occurs twice"),
        ("rate_bpp,name\n0.1,x\n", "no quality column beside 'rate_bpp': rate_bpp, name"),
        ("rate_bpp,vmaf\n0.1,9\n", "jpeg.csv has psnr_db, lpips; "),
        ("rate_bpp,psnr_db\n", "needs a header and one line a point"),
        ("", "needs a header and one line a point"),
    ],
    ids=[
        "bad cell",
        "zero rate",
        "short line",
        "no rate",
        "doubled column",
        "no quality",
        "nothing in common",
        "header only",
        "empty",
    ],
)
def test_a_bad_file_is_refused_with_place_and_value(
    app: typer.Typer, files: tuple[str, str], text: str, message: str
) -> None:
    Path(files[1]).write_text(text)
    assert message in refused(app, *files)


def test_what_is_not_there_is_named(app: typer.Typer, files: tuple[str, str]) -> None:
    assert "No such file" in refused(app, files[0], "absent.csv")
    assert "column 'psnr' is not there. Did you mean 'psnr_db'?" in refused(
        app, *files, "--metric", "psnr"
    )
    assert "column 'codec' holds no numbers" in refused(app, *files, "--rate", "codec")
    assert "--lower-is-better 'lpip': no such metric. Did you mean 'lpips'?" in refused(
        app, *files, "--lower-is-better", "lpip"
    )
    assert "unknown BD method 'spline'" in refused(app, *files, "--method", "spline")


def test_a_file_that_is_not_text_is_refused(app: typer.Typer, files: tuple[str, str]) -> None:
    Path(files[1]).write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    assert "not a text file" in refused(app, *files)


def test_the_command_is_listed_without_loading_scipy() -> None:
    code = "import sys, workbench.cli.bd; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
