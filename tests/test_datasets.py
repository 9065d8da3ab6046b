"""Datasets of files: folders, COCO annotations, manifests."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from workbench import images, registry
from workbench.errors import DatasetError
from workbench_datasets.manifest import Kodak


def test_a_folder_lists_its_pictures_by_name(photos: Path) -> None:
    (photos / "notes.txt").write_text("not listed")
    items = registry.load().dataset(f"folder:{photos}").items()
    assert [(i.name, i.width, i.height) for i in items] == [
        ("astronaut.png", 128, 96), ("chelsea.png", 128, 96), ("coffee.png", 101, 71),
    ]  # fmt: skip
    data = (photos / "coffee.png").read_bytes()
    assert items[2].sha256 == hashlib.sha256(data).hexdigest()


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures"):
        registry.load().dataset(f"folder:{tmp_path}").items()
    with pytest.raises(DatasetError, match="no such folder"):
        registry.load().dataset(f"folder:{tmp_path}/none").items()


@pytest.fixture
def served_kodak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A local server in place of Kodak's, with two pictures; its folder, and the data root."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    folder = tmp_path / "served"
    folder.mkdir()
    files = []
    for seed, name in enumerate(["kodim01.png", "kodim02.png"]):
        noise = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
        images.write(folder / name, noise)
        data = (folder / name).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        files.append({"name": name, "sha256": sha256, "n_bytes": len(data)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(Kodak, "manifest", {"url": url, "licence": "free", "files": files})
    monkeypatch.setenv("WORKBENCH_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield folder, tmp_path / "data"
    server.shutdown()
    thread.join()
    server.server_close()


def test_kodak_that_is_not_here_says_what_to_do(served_kodak: tuple[Path, Path]) -> None:
    _, root = served_kodak
    with pytest.raises(DatasetError, match=r"Run workbench fetch kodak, or put its 2 files"):
        Kodak(root=str(root)).items()


def test_kodak_is_fetched_once_and_found_by_data_root_or_setting(
    served_kodak: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, root = served_kodak
    steps: list[int] = []
    folder = Path(Kodak(root=str(root)).fetch(lambda done, total: steps.append(done)))
    assert folder == root / "kodak"
    assert steps[-1] == sum(path.stat().st_size for path in served.iterdir())
    assert [item.name for item in Kodak(root=str(root)).items()] == ["kodim01.png", "kodim02.png"]
    monkeypatch.setenv("WORKBENCH_DATA", str(root))
    assert all(not item.error for item in Kodak().items())


def test_a_picture_whose_checksum_differs_is_an_error_of_its_own(
    served_kodak: tuple[Path, Path],
) -> None:
    _, root = served_kodak
    Kodak(root=str(root)).fetch()
    images.write(root / "kodak" / "kodim02.png", np.zeros((20, 30, 3), np.uint8))
    first, second = Kodak(root=str(root)).items()
    assert not first.error
    assert "its sha256 is" in second.error
    assert "workbench fetch kodak" in second.error


def test_the_kodak_manifest_lists_24_files_with_whole_checksums() -> None:
    manifest = Kodak().manifest
    assert [file["name"] for file in manifest["files"]] == [
        f"kodim{n:02d}.png" for n in range(1, 25)
    ]
    assert all(len(file["sha256"]) == 64 for file in manifest["files"])


def test_shared_kodak_is_what_the_manifest_says(shared: Path) -> None:
    items = Kodak(root=str(shared / "data")).items()
    assert [item.error for item in items] == [""] * 24
    assert {(item.width, item.height) for item in items} == {(768, 512), (512, 768)}


def test_coco_lists_pictures_with_their_annotations(photos: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "coffee.png", "width": 101, "height": 71}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 3, "name": "cup"}],
    }
    file = photos / "instances.json"
    file.write_text(json.dumps(content))
    dataset = registry.load().dataset(f"coco:{photos}:{file}")
    [item] = dataset.items()
    assert item.name == "coffee.png"
    assert dataset.load_target(item, "boxes")["annotations"] == content["annotations"]
