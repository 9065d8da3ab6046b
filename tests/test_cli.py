"""The command line, driven as a user drives it."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from workbench import images
from workbench.cli import app
from workbench.testing import CHECKS

SQUARES = Path(__file__).parents[1] / "examples" / "squares.py"
Cli = Callable[..., subprocess.CompletedProcess[str]]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a user's error."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_lists_are_readable_and_parse_as_json() -> None:
    assert "JPEG, 4:2:0" in invoke("list", "codecs")
    codecs = {entry["name"] for entry in json.loads(invoke("list", "codecs", "--json"))}
    assert {"jpeg", "jpeg-444", "jpeg2000", "htj2k", "jpegxl", "webp", "avif", "avc-intra",
            "hevc-intra", "av1-intra", "vvc-intra"} <= codecs  # fmt: skip
    assert "kodak" in {entry["name"] for entry in json.loads(invoke("list", "datasets", "--json"))}
    metrics = {entry["name"]: entry for entry in json.loads(invoke("list", "metrics", "--json"))}
    assert metrics["psnr_rgb"]["unit"] == "dB"
    assert "psnr" in invoke("list", "tasks")


def test_show_tells_points_outputs_versions_and_citation() -> None:
    shown = json.loads(invoke("show", "codecs", "jpeg", "--json"))
    assert shown["available"] == "yes"
    assert "T.81" in shown["citation"] + shown["about"]
    assert shown["layers"] == "main"
    assert shown["outputs"] == {"image": "needs main; for any use"}
    assert shown["versions"]["imagecodecs"]
    assert "quality" in invoke("show", "codecs", "jpeg")


def test_encode_info_decode_go_round(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    images.write(tmp_path / "in.png", picture)
    wbs, out = tmp_path / "x.wbs", tmp_path / "out.png"
    told = json.loads(invoke("encode", "jpeg@quality90", tmp_path / "in.png", wbs, "--json"))
    assert told["container_bytes"] == wbs.stat().st_size
    shown = json.loads(invoke("info", wbs, "--json"))
    assert (shown["codec"], shown["point"]) == ("jpeg", "quality90")
    assert shown["layers"]["main"]["n_bytes"] == told["n_bytes"]
    assert shown["layers"]["main"]["rate_bpp"] == 8 * told["n_bytes"] / (37 * 53)
    invoke("decode", wbs, out)
    assert images.read(out).shape == (37, 53, 3)


def test_decode_takes_the_output_that_the_layers_allow(tmp_path: Path, two_layers: Path) -> None:
    from workbench.container import Stream

    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    images.write(tmp_path / "in.png", picture)
    wbs, base = tmp_path / "x.wbs", tmp_path / "base.wbs"
    plugin = ("--plugin", two_layers)
    invoke("encode", "two-layers@step2", tmp_path / "in.png", wbs, *plugin)
    base.write_bytes(Stream.from_bytes(wbs.read_bytes()).subset(["base"]).to_bytes())
    assert "output human" in invoke("decode", wbs, tmp_path / "h.png", *plugin)
    assert "output machine" in invoke("decode", base, tmp_path / "m.png", *plugin)
    invoke("decode", wbs, tmp_path / "m2.png", "--output", "machine", *plugin)
    assert (images.read(tmp_path / "m.png") == images.read(tmp_path / "m2.png")).all()
    assert (images.read(tmp_path / "m.png") == picture[::2, ::2].repeat(2, 0).repeat(2, 1)).all()


def test_run_prints_json_and_a_second_run_adds(photos: Path, tmp_path: Path) -> None:
    common = ("--tasks", "psnr", "--dataset", f"folder:{photos}", "--out", tmp_path / "run")
    first = json.loads(invoke("run", "--codecs", "jpeg@50", *common, "--json"))
    assert (first["n_cells"], first["n_measured"], first["n_failed"]) == (3, 3, 0)
    second = json.loads(invoke("run", "--codecs", "jpeg@50,webp@50", *common, "--json"))
    assert (second["n_done_before"], second["n_measured"]) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--codecs", "jpg"], "no codec 'jpg'. Did you mean 'jpeg'?"),
        (["run", "--codecs", "jpeg@quality101"], "jpeg: quality 101 is outside whole numbers"),
        (["run", "--tasks", "pnsr"], "no task 'pnsr'. Did you mean 'psnr'?"),
        (["run", "--dataset", "demos"], "no dataset 'demos'. Did you mean 'demo'?"),
        (["run", "--dataset", "folder:/nowhere"], "/nowhere: no such folder"),
        (["run", "--dataset", "folder"], "dataset 'folder': write folder:..."),
        (["show", "codecs", "vvc"], "no codec 'vvc'."),
        (["encode", "jpeg", "in.png", "out.wbs"], "jpeg: which point? Write jpeg@POINT"),
        (["encode", "jpeg@50", "in.png", "out.wbs"], "in.png: no such file"),
        (["info", "out.wbs"], "out.wbs: cannot be read (No such file or directory)"),
        (["check", "none.py"], "none.py: no such plugin file"),
    ],
)
def test_wrong_input_gets_one_line_with_the_cure(
    workbench_cli: Cli, arguments: list[str], message: str
) -> None:
    assert message in error_of(workbench_cli(*arguments))


def test_a_damaged_stream_file_is_refused_by_name(workbench_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.wbs").write_bytes(b"WBS\x01\x04jpeg")
    assert "x.wbs: the stream is cut" in error_of(workbench_cli("decode", "x.wbs", "y.png"))


def test_check_judges_the_tutorial_codec_and_finds_a_bad_one(
    workbench_cli: Cli, plugin_file: Callable[[str, str], Path]
) -> None:
    good = workbench_cli("check", SQUARES)
    assert good.returncode == 0, good.stdout
    assert "FAILED" not in good.stdout
    bad = plugin_file(
        "forgetful",
        "    seen = {}\n"
        "    def encode(self, image, point):\n"
        "        Faulty.seen[image.shape] = image\n"
        "        return repr(image.shape).encode()\n"
        "    def decode(self, stream, output):\n"
        "        return Faulty.seen[eval(stream)]",
    )
    verdicts = workbench_cli("check", bad, "--json")
    assert verdicts.returncode == 1
    failed = {v["check"] for v in json.loads(verdicts.stdout) if not v["passed"]}
    assert "another process decodes the same picture" in failed


def test_the_tutorial_codec_runs_beside_jpeg_and_stands_in_the_report(
    workbench_cli: Cli, tmp_path: Path
) -> None:
    ran = workbench_cli(
        "run", "--codecs", "squares,jpeg", "--tasks", "psnr", "--limit", 2,
        "--plugin", SQUARES, "--out", "run",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    reported = workbench_cli("report", "run", "--anchor", "jpeg")
    assert reported.returncode == 0, reported.stderr
    with (tmp_path / "run" / "report" / "rd.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["codec"] == "squares"]
    rates = [float(row["rate_bpp_mean"]) for row in rows]
    psnrs = [float(row["psnr_rgb_mean"]) for row in rows]
    assert [row["point"] for row in rows] == [f"side{n}" for n in (32, 16, 8, 6, 4, 3)]
    # Three bytes a 32 x 32 square are 0.023 bpp; deflate and 9 bytes of header change that a bit.
    assert 0.5 * 0.0234 < rates[0] < 2 * 0.0234
    assert rates == sorted(rates)
    assert psnrs == sorted(psnrs)
    assert "squares" in (tmp_path / "run" / "report" / "bd.md").read_text()


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process died: Segmentation fault"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
    ],
)
def test_check_survives_a_codec_that_crashes_or_exits(
    workbench_cli: Cli, plugin_file: Callable[[str, str], Path], statement: str, verdict: str
) -> None:
    bad = plugin_file("crashing", f"    def encode(self, image, point):\n        {statement}\n")
    done = workbench_cli("check", bad)
    assert done.returncode == 1
    assert done.stdout.count("  FAILED") == len(CHECKS) + 1
    assert verdict in done.stdout


def commands(group: typer.Typer, *names: str) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        yield *names, str(command.name or command.callback.__name__)
    for inner in group.registered_groups:
        yield from commands(inner.typer_instance, *names, str(inner.name))


@pytest.mark.parametrize("command", list(commands(app)), ids=" ".join)
def test_help_of_every_command_has_an_example(command: tuple[str, ...]) -> None:
    example = rf"Example: .*workbench {' '.join(command)}\b"
    assert re.search(example, invoke(*command, "--help"))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("workbench run --codecs jpeg2", ["jpeg2000"]),
        ("workbench run --codecs webp,vvc-i", ["webp,vvc-intra"]),
        ("workbench run --codecs webp@quality9", ["webp@quality90"]),
        ("workbench run --tasks psnr,ssi", ["psnr,ssim"]),
        ("workbench run --dataset fold", ["folder:"]),
        ("workbench show tasks vm", ["vmaf"]),
        ("workbench encode hevc-intra-", ["hevc-intra-444"]),
    ],
)
def test_the_shell_completes_names(typed: str, offered: list[str]) -> None:
    environment = {
        **os.environ, "_WORKBENCH_COMPLETE": "complete_bash", "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }  # fmt: skip
    # The script, as the shell calls it: the variable's name follows from the program's.
    script = Path(sys.executable).with_name("workbench")
    done = subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == offered
