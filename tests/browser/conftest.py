"""Chromium, and a report of a small run that has everything a page must cope with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import images, registry, rows
from workbench.runner import Options as RunOptions
from workbench.runner import execute
from workbench_reports import Gallery, Options, write

REQUIRED = "WORKBENCH_REQUIRE_BROWSER"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NASTY = "<img/src=x/onerror=document.title='run'>"
NASTY_IMAGE = "<img src=x onerror=document.title='run'>.png"

PLUGIN = """
import numpy as np
import workbench
from workbench import registry

def jpeg():
    return registry.load().codec("jpeg")

class Layers(workbench.Codec):
    '''A coarse JPEG for machines, a fine one on top of it for people.'''
    name = NASTY
    points = workbench.points("fine", [30, 60, 90], limits=(1, 95))
    layers = ("base", "enhancement")
    outputs = {
        "machine": workbench.Output(("base",), "machine"),
        "human": workbench.Output(("base", "enhancement"), "human"),
    }

    def encode(self, image, point):
        code = lambda q: jpeg()().encode(image, jpeg().points.find(str(q)))
        return {"base": code(max(1, point.fine // 3)), "enhancement": code(point.fine)}

    def decode(self, stream, output):
        return jpeg()().decode(stream["base" if output == "machine" else "enhancement"], "image")

class Broken(workbench.Codec):
    '''Fails on one picture.'''
    name = "broken"
    points = workbench.points("level", [20, 50, 90], limits=(1, 95))

    def encode(self, image, point):
        if image.shape[0] == 72:
            raise ValueError("<b>no</b> room")
        return jpeg()().encode(image, jpeg().points.find(str(point.level)))

    def decode(self, stream, output):
        return jpeg()().decode(stream, output)

class Single(Broken):
    '''One point alone.'''
    name = "single"
    points = workbench.points("level", [70], limits=(1, 95))

    def encode(self, image, point):
        return jpeg()().encode(image, jpeg().points.find("70"))

class Flat(workbench.Codec):
    '''So bad that no quality is shared with the others.'''
    name = "flat"
    points = workbench.points("step", [1, 2])

    def encode(self, image, point):
        return bytes([image.shape[0], image.shape[1]]) * (9 + point.step)

    def decode(self, stream, output):
        value = 0 if len(stream) > 20 else 1
        return np.full((stream[0], stream[1], 3), value, np.uint8)

class Things(workbench.Task):
    '''Finds the two checked patches by their contrast, which coarse coding takes away.'''
    name = "things"
    metrics = (workbench.Metric("n_things", "Things", "things found", pool="set"),)
    categories = {1: "<script>document.title='run'</script>", 2: "patch"}

    def predict(self, images):
        found = []
        for image in images:
            boxes, labels = [], []
            for label, x in ((1, 8), (2, 48)):
                if image[16:32, x:x + 16].std() > (30, 18)[label - 1]:
                    boxes.append([x, 16, x + 16, 32])
                    labels.append(label)
            found.append({"boxes": np.array(boxes, np.float32).reshape(-1, 4),
                          "scores": np.full(len(boxes), 0.9, np.float32),
                          "labels": np.array(labels, np.int64)})
        return found

    def evaluate(self, predictions, targets):
        return {"n_things": sum(len(p["boxes"]) for p in predictions) / len(predictions)}

@workbench.hookimpl
def workbench_codecs():
    return [Layers, Broken, Single, Flat]

@workbench.hookimpl
def workbench_tasks():
    return [Things]
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium, driven by playwright."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but there is no Chromium")
        pytest.skip("there is no Chromium here: scripts/install_chromium.sh installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Containers have no namespaces to build Chromium's sandbox of; the pages are our own.
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


def make_run(folder: Path) -> tuple[Path, Path]:
    """Return a run directory of three small pictures, and its plugin file."""
    pictures = folder / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for name, height in (("a.png", 64), ("b.png", 72), (NASTY_IMAGE, 64)):
        ramp = np.linspace(60, 190, 80)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
        picture = ramp + rng.normal(0, 3, (height, 80, 3))
        for x, contrast in ((8, 45), (48, 20)):
            checks = 2 * ((np.arange(16)[:, None] + np.arange(16)) % 2) - 1
            picture[16:32, x : x + 16] = 120 + contrast * checks[..., None]
        images.write(pictures / name, np.clip(picture, 0, 255).astype(np.uint8))
    plugin = folder / "plugin.py"
    plugin.write_text(PLUGIN.replace("NASTY", repr(NASTY)))
    run = folder / "run"
    execute(
        RunOptions(
            codecs=["jpeg", "webp", "png", NASTY, "broken", "single", "flat"],
            tasks=["psnr", "ssim", "things"], dataset=f"folder:{pictures}", out=run,
            plugins=[str(plugin)],
        )
    )  # fmt: skip
    return run, plugin


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_run(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="session")
def report(run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report of that run, with every picture and published curves."""
    folder, plugin = run
    out = tmp_path_factory.mktemp("report")
    published = out / "published.json"
    published.write_text(
        '{"curves": {"<i>book</i>": {"bpp": [0.5, 1.5, 3], "psnr_rgb": [24, 27, 30], '
        '"source": "<b>a book</b>"}}}'
    )
    plugins = [str(plugin)]
    loaded = rows.load(folder)
    write(
        loaded, rows.metrics_of(registry.load(plugins)), out,
        Options(references=[published], resamples=100, pictures=None, picture_points=None),
        gallery=Gallery([folder], loaded, plugins),
    )  # fmt: skip
    return out


class Opened:
    """A page of a report, and all that went wrong in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        page.on(
            "console",
            lambda message: (
                self.faults.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))

    def go(self, tab: str) -> None:
        self.page.click(f"#tab-{tab}")
        self.page.wait_for_selector(f'#tab-{tab}[aria-selected="true"]')


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    """The report, opened from disk at the size of a desktop; it must not go wrong anywhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    found = Opened(context.new_page())
    found.page.goto((report / "index.html").as_uri())
    found.page.wait_for_selector("html[data-ready]")
    yield found
    assert found.faults == []
    outside = [url for url in found.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert outside == []
    assert found.page.title() == "Rate-distortion report"  # what scripts in names would change
    context.close()
