"""What stands behind the report page: predictions compared, all pairs, pictures, LaTeX."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import images, registry, rows
from workbench.bd import Curve, bd_quality, bd_rate
from workbench.errors import WorkbenchError
from workbench.runner import Options as RunOptions
from workbench.runner import execute
from workbench_reports import Gallery, Options, comparable, write
from workbench_reports import overlay as seen
from workbench_reports.bundle import LIBRARY, asset, page
from workbench_reports.exhibit import spread_points
from workbench_reports.matrix import Pair


def found(*boxes: tuple[float, ...], labels: list[int] | None = None) -> dict[str, Any]:
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "scores": np.full(len(boxes), 0.9, np.float32),
        "labels": np.array(labels or [1] * len(boxes)),
    }


def test_boxes_that_overlap_by_half_are_kept_and_others_lost_or_invented() -> None:
    # 10 × 10 each. The second is moved by 3: 70 shared of 130 together, 0.54. The third by 4:
    # 60 of 140, 0.43.
    original = found((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))
    decoded = found((0, 0, 10, 10), (23, 0, 33, 10), (44, 0, 54, 10))
    drawn = seen.drawn(original, decoded, {1: "cat"})
    assert drawn is not None
    assert [(box[0], box[5], box[6]) for box in drawn["boxes"]] == [
        (40, "cat", "lost"), (0, "cat", "kept"), (23, "cat", "kept"), (44, "cat", "invented"),
    ]  # fmt: skip
    # Two kept of four things in all.
    assert seen.disagreement(original, decoded) == pytest.approx(0.5)


def test_a_box_of_another_label_or_a_low_score_is_not_the_same_thing() -> None:
    box = (0, 0, 10, 10)
    assert seen.disagreement(found(box), found(box, labels=[2])) == 1
    unsure = found(box) | {"scores": np.array([0.49], np.float32)}
    assert seen.disagreement(found(box), unsure) == 1
    assert seen.disagreement(unsure, unsure) == 0  # nothing is seen either time


def test_of_two_boxes_over_one_only_the_nearer_is_it() -> None:
    original = found((0, 0, 10, 10))
    decoded = found((0, 0, 10, 8), (0, 0, 10, 9))
    drawn = seen.drawn(original, decoded, {})
    assert drawn is not None
    assert [(box[3], box[6]) for box in drawn["boxes"]] == [(8, "invented"), (9, "kept")]


def test_faces_maps_and_labels_are_compared_too() -> None:
    face = {"faces": np.array([[5, 5, 10, 10]])}
    assert seen.disagreement(face, face) == 0
    assert seen.disagreement(face, {"faces": np.zeros((0, 4))}) == 1
    # One of four pixels has another class.
    before, after = ({"map": np.array([[0, 1], [2, v]], np.uint8)} for v in (3, 4))
    assert seen.disagreement(before, after) == pytest.approx(0.25)
    changed = seen.changed_pixels(before, after)
    assert changed is not None
    assert (changed[..., 3] > 0).tolist() == [[False, False], [False, True]]
    # Segments of the same category are the same, whatever their number.
    ids = {"ids": np.array([[7]]), "segments": [{"id": 7, "category_id": 3}]}
    other = {"ids": np.array([[8]]), "segments": [{"id": 8, "category_id": 3}]}
    assert seen.disagreement(ids, other) == 0
    assert seen.disagreement({"labels": [4, 2], "scores": [1, 0]}, {"labels": [2, 4]}) == 1
    assert seen.disagreement({"mean": 3.0}, {"mean": 4.0}) is None


def test_masks_are_drawn_by_the_state_of_their_things() -> None:
    coco = pytest.importorskip("faster_coco_eval", reason="masks need the extra machine").mask
    codes = []
    for x in (0, 6):
        mask = np.zeros((8, 10), np.uint8, order="F")
        mask[2:4, x : x + 3] = 1
        code = coco.encode(mask)
        codes.append({"size": code["size"], "counts": code["counts"].decode()})
    original = found((0, 2, 3, 4), (6, 2, 9, 4)) | {"masks": codes}
    decoded = found((0, 2, 3, 4)) | {"masks": codes[:1]}
    drawn = seen.mask_pictures(original, decoded)
    assert sorted(drawn) == ["kept", "lost"]
    # Two rows of three pixels each, where the masks are.
    assert np.argwhere(drawn["lost"][..., 3])[:, 1].tolist() == [6, 7, 8, 6, 7, 8]
    assert np.argwhere(drawn["kept"][..., 3])[:, 1].tolist() == [0, 1, 2, 0, 1, 2]
    assert list(seen.mask_pictures(None, decoded)) == ["found"]
    assert seen.mask_pictures(None, found((0, 0, 1, 1))) == {}


def test_without_a_prediction_on_the_original_nothing_is_called_kept() -> None:
    drawn = seen.drawn(None, found((0, 0, 10, 10)), {})
    assert drawn is not None
    assert drawn["boxes"][0][6] == "found"


def test_a_pair_turned_around_is_the_pair_computed_the_other_way() -> None:
    a = Curve([0.1, 0.2, 0.4, 0.8], [28, 31.5, 34, 37], "a")
    b = Curve([0.11, 0.19, 0.45, 0.7], [29, 31, 35, 37.5], "b")
    for kind, function in (("rate", bd_rate), ("quality", bd_quality)):
        pair = Pair({"pchip": function(a, b).value}, low=-3.0, high=25.0)
        turned = pair.turned(kind)  # type: ignore[arg-type]
        assert turned.values["pchip"] == pytest.approx(function(b, a).value)
        assert turned.low is not None
        assert turned.high is not None
        assert turned.low < turned.high
    # 25 % more is 20 % less the other way, and 3 % less 3/97 more.
    rate = Pair({}, low=-3.0, high=25.0).turned("rate")
    assert (rate.low, rate.high) == (pytest.approx(-20), pytest.approx(300 / 97))


def test_points_are_spread_from_the_lowest_to_the_highest() -> None:
    assert spread_points(8, 4) == {0, 2, 5, 7}
    assert spread_points(3, 4) == {0, 1, 2}
    assert spread_points(9, None) == set(range(9))
    assert spread_points(5, 1) == {2}


def test_the_bundled_library_is_the_published_one() -> None:
    digest = hashlib.sha256(asset(LIBRARY).encode()).hexdigest()
    assert digest in asset("vendor/README.md")


def test_the_page_lets_only_its_own_scripts_run() -> None:
    text = page("A <title>", {"name": "</script><script>alert(1)</script><!--"})
    scripts = re.findall(r"<script>([\s\S]*?)</script>", text)
    assert len(scripts) == 2
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert "unsafe-inline" not in policy[1].partition("style-src")[0]
    assert "alert(1)</script>" not in text
    assert "<title>A &lt;title&gt;</title>" in text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        picture = np.linspace(0, 200, 48)[None, :, None] + rng.normal(0, 6, (40, 48, 3))
        images.write(folder / "pictures" / name, np.clip(picture, 0, 255).astype(np.uint8))
    execute(RunOptions("jpeg,webp", "psnr", f"folder:{folder / 'pictures'}", folder / "run"))
    return folder / "run"


def report_of(run: Path, out: Path, **options: Any) -> dict[str, Any]:
    loaded = rows.load(run)
    known = rows.metrics_of(registry.load())
    write(loaded, known, out, Options(resamples=50, **options), gallery=Gallery([run], loaded))
    data: dict[str, Any] = json.loads((out / "report.json").read_text())
    return data


def detail(out: Path, name: str) -> dict[str, Any]:
    text = (out / "pictures" / name).read_text()
    found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex(")")])
    return found


def test_pictures_of_a_report_are_the_ones_that_were_scored(run: Path, tmp_path: Path) -> None:
    data = report_of(run, tmp_path, pictures=1, picture_points=2)
    [shown] = data["pictures"]["0"]
    told = detail(tmp_path, f"0-{shown}.js")
    name = data["datasets"][0]["images"][shown]["name"]
    original = images.read(tmp_path / "pictures" / told["original"]["file"])
    assert (original == images.read(run.parent / "pictures" / name)).all()
    jpeg = next(i for i, c in enumerate(data["curves"]) if c["codec"] == "jpeg")
    cells = told["cells"][str(jpeg)]
    assert sorted(map(int, cells)) == [0, len(data["curves"][jpeg]["points"]) - 1]
    cell = cells["0"]
    decoded = images.read(tmp_path / "pictures" / cell["file"])
    mse = ((original.astype(float) - decoded) ** 2).mean()
    psnr = data["curves"][jpeg]["images"]["psnr_rgb"][0][shown]
    assert 10 * np.log10(255**2 / mse) == pytest.approx(psnr, abs=1e-3)
    bits = data["curves"][jpeg]["images"]["rate_bpp"][0][shown]
    assert 8 * cell["layers"]["main"] / (40 * 48) == pytest.approx(bits, abs=1e-4)


def test_a_report_made_again_decodes_nothing_anew(run: Path, tmp_path: Path) -> None:
    report_of(run, tmp_path, pictures=1, picture_points=1)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pictures").glob("*.webp")}
    report_of(run, tmp_path, pictures=1, picture_points=1)
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pictures").glob("*.webp")}
    assert before
    assert before == after


def test_a_picture_that_has_changed_since_is_not_shown_as_the_original(
    run: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        path = run.parent / "pictures" / name
        kept = path.read_bytes()
        images.write(path, np.zeros((40, 48, 3), np.uint8))
        try:
            loaded = rows.load(run)
            [dataset] = loaded.items
            with pytest.raises(WorkbenchError, match="not the picture that was measured"):
                Gallery([run], loaded).original(dataset, name)
        finally:
            path.write_bytes(kept)


def test_no_pictures_are_written_where_none_are_asked_for(run: Path, tmp_path: Path) -> None:
    assert report_of(run, tmp_path, pictures=0)["pictures"] == {"0": []}
    assert not (tmp_path / "pictures").exists()


def test_latex_curves_hold_every_point(run: Path, tmp_path: Path) -> None:
    data = report_of(run, tmp_path, pictures=0, log_rate=True)
    [path] = (tmp_path / "figures").glob("rd-*psnr_rgb*.tex")
    text = path.read_text()
    assert text.count(r"\begin{semilogxaxis}") == text.count(r"\end{semilogxaxis}") == 1
    plots = re.findall(r"\\addplot\[(.*?)\] coordinates \{(.*?)\};", text)
    assert len(plots) == 2
    jpeg = next(c for c in data["curves"] if c["codec"] == "jpeg")
    values = jpeg["values"]["psnr_rgb"]["mean"]["value"]
    rates = jpeg["rates"]["rate_bpp"]["mean"]
    written = [tuple(map(float, p)) for p in re.findall(r"\(([\d.]+),([\d.]+)\)", plots[0][1])]
    assert written == [pytest.approx(pair) for pair in zip(rates, values, strict=True)]
    assert text.count("{") == text.count("}")


def test_runs_whose_pictures_differ_are_refused_by_name(tmp_path: Path) -> None:
    for name, value in (("one", 10), ("two", 20)):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        images.write(tmp_path / "pictures" / "a.png", np.full((16, 16, 3), value, np.uint8))
        execute(RunOptions("jpeg@50", "psnr", f"folder:{tmp_path / 'pictures'}", tmp_path / name))
    with pytest.raises(WorkbenchError, match=r"one and .*two cannot be compared: .*\(a.png\)"):
        comparable([tmp_path / "one", tmp_path / "two"])
    comparable([tmp_path / "one"])


def test_parameters_and_operations_of_networks_are_counted_for_each_output() -> None:
    torch = pytest.importorskip("torch", reason="networks need torch")
    import workbench
    from workbench_reports.networks import measure

    class Small(workbench.Codec):
        """A convolution to encode; one for people, and none for machines, to decode."""

        name = "small"
        requires = ("torch",)
        points = workbench.points("level", [1])
        layers = ("base", "enhancement")
        outputs = {  # noqa: RUF012
            "machine": workbench.Output(("base",), "machine"),
            "human": workbench.Output(("base", "enhancement"), "human"),
        }

        def __init__(self, device: str = "cpu", threads: int = 1) -> None:
            super().__init__(device, threads)
            self.analysis = torch.nn.Conv2d(3, 8, 4, stride=4)
            self.synthesis = torch.nn.Conv2d(3, 2, 1)
            self.exact = torch.nn.Conv2d(3, 2, 1).double()

        def encode(self, image: Any, point: Any) -> dict[str, bytes]:
            self.analysis(torch.zeros(1, 3, *image.shape[:2]))
            return {"base": bytes([1]), "enhancement": bytes([2])}

        def decode(self, stream: Any, output: str) -> Any:
            if output == "human":
                self.synthesis(torch.zeros(1, 3, 256, 256))
            return np.zeros((256, 256, 3), np.uint8)

    class Wrapper(Small):
        name = "wrapper"
        requires = ()
        inner = Small

    class Plain(Small):
        name = "plain"
        requires = ()

    found = measure([Small, Wrapper, Plain])
    assert list(found) == ["small", "wrapper"]
    # 3 * 8 * 4 * 4 + 8 and 3 * 2 + 2 parameters, without those of the copy in float64. A pixel
    # takes 3 * 8 * 16 / 16 = 24 multiplications of the strided convolution, 3 * 2 of the other.
    assert found["small"]["parameters"] == 392 + 8
    assert found["small"]["encode_kmac_per_pixel"] == pytest.approx(0.024)
    assert found["small"]["decode_kmac_per_pixel"] == {"machine": 0, "human": pytest.approx(0.006)}
