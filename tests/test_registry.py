"""Finding plugins, and answering names that do not exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import workbench
from workbench import registry
from workbench.errors import PluginError


def test_points_are_found_by_label_by_number_and_between_the_listed() -> None:
    points = workbench.points("qp", [42, 32, 22], limits=(0, 51))
    assert [point.label for point in points] == ["qp42", "qp32", "qp22"]
    assert points.find("qp32").qp == points.find("32").qp == 32
    assert points.find("qp33") == workbench.Point("qp33", {"qp": 33})


def test_points_outside_the_limits_name_value_and_range() -> None:
    points = workbench.points("qp", [42, 32], limits=(0, 51))
    with pytest.raises(PluginError, match=r"vvc: qp 52 is outside whole numbers 0\.\.51"):
        points.find("qp52", "vvc")
    with pytest.raises(PluginError, match=r"qp 30\.5 is outside whole numbers"):
        points.find("qp30.5", "vvc")


def test_an_unknown_point_without_limits_is_refused_with_the_nearest() -> None:
    points = workbench.points("qp", [42, 32])
    with pytest.raises(PluginError, match="no point 'qp33'. Did you mean 'qp32'"):
        points.find("qp33")


def test_unknown_names_get_the_nearest_known_one() -> None:
    with pytest.raises(PluginError, match="no codec 'jpg'. Did you mean 'jpeg'"):
        registry.load().codec("jpg")


def test_selection_merges_points_and_lists_each_codec_once() -> None:
    chosen = registry.load().select_codecs("jpeg@quality50,jpeg@quality20,jpeg@50")
    assert [(codec.name, [p.label for p in points]) for codec, points in chosen] == [
        ("jpeg", ["quality50", "quality20"])
    ]


def test_a_local_file_adds_its_codec_and_only_for_this_call(two_layers: Path) -> None:
    assert "two-layers" in registry.load([str(two_layers)]).codecs
    assert "two-layers" not in registry.load().codecs


def write_plugin(path: Path, body: str) -> str:
    path.write_text(f"import workbench\n{body}\n")
    return str(path)


CODEC = """
class Mine(workbench.Codec):
    name = {name!r}
    points = workbench.points("q", [1])
    {more}

@workbench.hookimpl
def workbench_codecs():
    return [Mine]
"""


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    file = write_plugin(tmp_path / "p.py", CODEC.format(name="jpeg", more="pass"))
    with pytest.raises(PluginError, match="the name 'jpeg' is taken by .*choose another"):
        registry.load([file])


def test_an_output_that_needs_an_unknown_layer_is_refused(tmp_path: Path) -> None:
    more = 'outputs = {"image": workbench.Output(("base",))}'
    file = write_plugin(tmp_path / "p.py", CODEC.format(name="mine", more=more))
    with pytest.raises(PluginError, match="output 'image' needs layers"):
        registry.load([file])


def test_a_file_that_does_not_import_is_refused_with_its_error(tmp_path: Path) -> None:
    file = write_plugin(tmp_path / "p.py", "import no_such_module_here")
    with pytest.raises(PluginError, match="cannot be loaded .*no_such_module_here"):
        registry.load([file])
    with pytest.raises(PluginError, match="no such plugin file"):
        registry.load([str(tmp_path / "none.py")])


def test_an_unavailable_codec_says_what_to_install(tmp_path: Path) -> None:
    more = 'requires = ("no-such-distribution",)'
    file = write_plugin(tmp_path / "p.py", CODEC.format(name="mine", more=more))
    found = registry.load([file])
    with pytest.raises(PluginError, match="needs no-such-distribution: pip install"):
        found.select_codecs("mine")
    assert "mine" not in [codec.name for codec, _ in found.select_codecs("all")]


def test_listing_plugins_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom workbench import registry\n"
        "found = registry.load()\n"
        "[p.unavailable() for p in [*found.codecs.values(), *found.tasks.values()]]\n"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'matplotlib', 'imagecodecs', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)), found.refused)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] {}"
