"""Finding plugins, and answering names that do not exist."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import workbench
from workbench import registry, rows
from workbench.container import Stream
from workbench.errors import PluginError
from workbench.provenance import plugin_key


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


def test_all_leaves_out_a_codec_that_wants_to_be_named(tmp_path: Path) -> None:
    more = "by_name_only = True"
    file = write_plugin(tmp_path / "p.py", CODEC.format(name="mine", more=more))
    found = registry.load([file])
    assert "mine" not in [codec.name for codec, _ in found.select_codecs("all")]
    assert [codec.name for codec, _ in found.select_codecs("mine")] == ["mine"]


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


FAMILY = '''
from workbench.provenance import plugin_key


class Negative(workbench.Codec):
    """Codes the negative picture with another codec."""

    name = "negative"
    family = "CODEC"

    @classmethod
    def of(cls, argument, registry):
        inner = registry.codec(argument)

        class Made(cls):
            name = f"negative:{argument}"
            family = ""
            points = inner.points

            @classmethod
            def fingerprint(cls):
                return {"inner": plugin_key(inner)}

            def encode(self, image, point):
                return inner().encode(255 - image, point)

            def decode(self, stream, output):
                return 255 - inner().decode(stream, output)

        return Made


@workbench.hookimpl
def workbench_codecs():
    return [Negative]
'''


@pytest.fixture
def family(tmp_path: Path) -> str:
    return write_plugin(tmp_path / "negative.py", FAMILY)


def test_a_family_makes_a_codec_of_its_argument_once(family: str) -> None:
    found = registry.load([family])
    made = found.codec("negative:jpeg")
    assert made.name == "negative:jpeg"
    assert made is found.codec("negative:jpeg")
    assert found.codec("negative:negative:jpeg").points is made.points
    [(codec, [point])] = found.select_codecs("negative:jpeg@20")
    assert (codec, point.label) == (made, "quality20")


def test_all_leaves_families_out_and_lists_name_their_argument(
    family: str, workbench_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    chosen = registry.load([family]).select_codecs("all")
    assert not [codec.name for codec, _ in chosen if codec.name.startswith("negative")]
    listed = workbench_cli("list", "codecs", "--plugin", family).stdout.splitlines()
    assert [line.split()[0] for line in listed if "negative" in line] == ["negative:CODEC"]
    shown = workbench_cli("show", "codecs", "negative:jpeg", "--plugin", family).stdout
    assert "quality20" in shown


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("negative:jpg", "no codec 'jpg'. Did you mean 'jpeg'"),
        ("negatve:jpeg", "no codec 'negatve:jpeg'. Did you mean 'negative"),
        ("negative", "negative is a family of codecs: write negative:CODEC"),
        ("negative:", "negative is a family of codecs: write negative:CODEC"),
        ("jpeg:webp", "no codec 'jpeg:webp'"),
    ],
)
def test_a_name_that_no_family_can_make_gets_a_hint(family: str, name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        registry.load([family]).codec(name)


def test_a_family_that_makes_another_name_is_refused(tmp_path: Path) -> None:
    wrong = FAMILY.replace('f"negative:{argument}"', 'f"positive:{argument}"')
    file = write_plugin(tmp_path / "p.py", wrong)
    with pytest.raises(PluginError, match="made a codec called 'positive:jpeg', not 'negative"):
        registry.load([file]).codec("negative:jpeg")


def test_a_family_and_a_codec_cannot_share_a_name(tmp_path: Path) -> None:
    file = write_plugin(tmp_path / "p.py", FAMILY.replace('name = "negative"', 'name = "jpeg"'))
    with pytest.raises(PluginError, match="the name 'jpeg' is taken"):
        registry.load([file])


def test_the_key_of_a_familys_codec_covers_the_codec_inside(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = registry.load([family])
    before = plugin_key(found.codec("negative:jpeg"))
    monkeypatch.setattr(found.codec("jpeg"), "versions", lambda: {"libjpeg": "another"})
    assert plugin_key(found.codec("negative:jpeg")) != before


def test_workers_strict_decoders_and_stream_files_find_a_familys_codec_by_name(
    family: str, photos: Path, workbench_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    workbench_cli(
        "run", "--codecs", "negative:jpeg@20", "--tasks", "psnr", "--dataset", f"folder:{photos}",
        "--workers", 2, "--strict", "--out", "run", "--plugin", family, check=True,
    )  # fmt: skip
    images = rows.load(photos.parent / "run").images
    assert images["error"].isna().all()
    assert len(images) == 3
    photo = photos / "coffee.png"
    workbench_cli("encode", "negative:jpeg@20", photo, "a.wbs", "--plugin", family, check=True)
    workbench_cli("decode", "a.wbs", "a.png", "--plugin", family, check=True)
    coded = Stream.from_bytes((photos.parent / "a.wbs").read_bytes())
    assert (coded.codec, coded.point) == ("negative:jpeg", "quality20")
    # The rate of a run is that of the file: the same bytes.
    row = images[images["image"].str.startswith("coffee")].iloc[0]
    assert row["n_bytes"] == coded.n_bytes(coded.layers)
