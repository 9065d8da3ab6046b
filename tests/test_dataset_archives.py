"""Datasets out of archives: fetched, unpacked, checked, or placed by hand."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.errors import DatasetError
from workbench_datasets.archives import (
    CityscapesVal,
    ClicProfessionalValid,
    CocoPanopticVal2017,
    CocoVal2017,
    VisDroneVal,
    unpack,
)

ALL = [CocoVal2017, CocoPanopticVal2017, ClicProfessionalValid, VisDroneVal, CityscapesVal]


def png(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, format="PNG")
    return out.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def served_clic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A local server in place of CLIC's, with an archive of two pictures; the data root."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    served = tmp_path / "served"
    served.mkdir()
    data = archive({"valid/a.png": png(1), "valid/b.png": png(2), "__MACOSX/valid/._a.png": b"x"})
    (served / "valid.zip").write_bytes(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    manifest = {
        "folder": "clic", "url": f"http://127.0.0.1:{server.server_port}/", "licence": "free",
        "archives": [{
            "name": "valid.zip", "path": "valid.zip", "n_bytes": len(data), "n_files": 2,
            "sha256": hashlib.sha256(data).hexdigest(), "select": "*.png", "into": "valid",
        }],
    }  # fmt: skip
    monkeypatch.setattr(ClicProfessionalValid, "manifest", manifest)
    monkeypatch.setenv("WORKBENCH_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "data"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_archive_is_fetched_unpacked_and_deleted(served_clic: Path) -> None:
    dataset = ClicProfessionalValid(root=str(served_clic))
    with pytest.raises(DatasetError, match=r"Run workbench fetch clic-professional-valid"):
        dataset.items()
    steps: list[tuple[int, int | None]] = []
    folder = Path(dataset.fetch(lambda done, total: steps.append((done, total))))
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
        "valid.zip.lock", "valid/a.png", "valid/b.png",
    ]  # fmt: skip
    assert steps[-1][0] == steps[-1][1]
    items = ClicProfessionalValid(root=str(served_clic)).items()
    assert [(item.name, item.width, item.error) for item in items] == [
        ("a.png", 8, ""), ("b.png", 8, ""),
    ]  # fmt: skip


def test_an_incomplete_folder_is_refused_with_a_cure(served_clic: Path) -> None:
    folder = Path(ClicProfessionalValid(root=str(served_clic)).fetch())
    (folder / "valid" / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"has 1 files, expected 2: delete the folder. Run work"):
        ClicProfessionalValid(root=str(served_clic)).items()


def test_an_archive_within_an_archive_is_unpacked(tmp_path: Path) -> None:
    inner = archive({"maps/1.png": png(1), "maps/notes.txt": b"-"})
    (tmp_path / "outer.zip").write_bytes(archive({"annotations/maps.zip": inner}))
    unpack(tmp_path / "outer.zip", tmp_path / "maps", "maps/*.png", "annotations/maps.zip")
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["1.png"]


def test_a_damaged_or_wrong_archive_leaves_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "some.zip"
    file.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="some.zip: cannot be unpacked"):
        unpack(file, tmp_path / "out", "*.png")
    file.write_bytes(archive({"notes.txt": b"-"}))
    with pytest.raises(DatasetError, match=r"some.zip: has no \*.png"):
        unpack(file, tmp_path / "out", "*.png")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [VisDroneVal, CityscapesVal], ids=lambda kind: kind.name)
def test_what_has_no_published_checksum_is_placed_by_hand(
    kind: type[VisDroneVal] | type[CityscapesVal], tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"gives no checksum. Download .*zip from https") as told:
        kind(root=str(tmp_path)).fetch()
    assert str(tmp_path) in str(told.value)
    with pytest.raises(DatasetError, match="not here"):
        kind(root=str(tmp_path)).items()


def test_cityscapes_asks_to_register(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="wants you to register"):
        CityscapesVal(root=str(tmp_path)).items()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_every_manifest_names_split_licence_address_and_checksums(
    kind: type[CocoVal2017],
) -> None:
    manifest = kind().manifest
    assert manifest["name"] == kind.name
    assert manifest["split"]
    assert manifest["licence"]
    assert manifest["url"].startswith("http")
    for part in manifest["archives"]:
        assert part["n_files"] > 0
        # Checksums are taken from a named source; where there is none, nothing is fetched.
        assert "by_hand" in manifest or (len(part["sha256"]) == 64 and manifest["checksums_from"])
