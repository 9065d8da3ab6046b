"""The live page: what it answers, what it refuses, and that it follows a run."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import images
from workbench.errors import WorkbenchError
from workbench.runner import Options as RunOptions
from workbench.runner import execute
from workbench_reports import Options
from workbench_reports.live import Live, is_loopback, server


def measure(folder: Path, codecs: str) -> Path:
    pictures = folder / "pictures"
    if not pictures.exists():
        pictures.mkdir()
        rng = np.random.default_rng(0)
        images.write(pictures / "a.png", rng.integers(90, 160, (32, 40, 3), dtype=np.uint8))
    execute(RunOptions(codecs, "psnr", f"folder:{pictures}", folder / "run"))
    return folder / "run"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    run = measure(tmp_path, "jpeg")
    with server(Live([run], Options()), "127.0.0.1", 0) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found.server_address[0], found.server_address[1]  # type: ignore[misc]
        found.shutdown()
        thread.join()


def ask(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_page_its_data_and_every_picture_are_served(address: tuple[str, int]) -> None:
    status, headers, body = ask(address, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>Rate-distortion report</title>" in body
    status, headers, body = ask(address, "/report.json")
    data = json.loads(body)
    assert data["live"]["tag"] == headers["ETag"]
    assert ask(address, "/report.json", If_None_Match=headers["ETag"])[0] == 304
    status, _, body = ask(address, "/pictures/0-0.js")
    told = json.loads(body[body.index(b"{") : body.rindex(b")")])
    assert len(told["cells"]["0"]) == len(data["curves"][0]["points"])
    for name in (told["original"]["file"], told["cells"]["0"]["0"]["file"]):
        status, headers, body = ask(address, f"/pictures/{name}")
        assert (status, headers["Content-Type"], body[:4]) == (200, "image/webp", b"RIFF")


@pytest.mark.parametrize(
    "path",
    [
        "/../run/store.json", "/pictures/../store.json", "/pictures/..%2fstore.json",
        "/pictures/%2e%2e/store.json", "//etc/passwd", "/store.json", "/rows/", "/pictures/0-9.js",
        "/pictures/7-0.js", f"/pictures/d{'0' * 32}.webp", "/pictures/o.webp", "/%00",
    ],
)  # fmt: skip
def test_nothing_else_is_found(address: tuple[str, int], path: str) -> None:
    status, _, body = ask(address, path)
    assert status == 404
    assert body == b"not found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_read_only(address: tuple[str, int], method: str) -> None:
    assert ask(address, "/", method)[0] == 501


def test_head_says_the_length_without_the_body(address: tuple[str, int]) -> None:
    status, headers, body = ask(address, "/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1_000_000


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8400", "192.0.2.1", ""])
def test_other_names_pointed_at_this_machine_get_nothing(
    address: tuple[str, int], host: str
) -> None:
    assert ask(address, "/", Host=host)[0] == 403


def test_names_of_this_machine_are_known() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.8.8", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.0.2.1", "localhost.evil.example", "")))


def test_new_rows_are_in_the_next_answer(tmp_path: Path, address: tuple[str, int]) -> None:
    _, headers, body = ask(address, "/report.json")
    assert {c["codec"] for c in json.loads(body)["curves"]} == {"jpeg"}
    measure(tmp_path, "webp")
    status, _, body = ask(address, "/report.json", If_None_Match=headers["ETag"])
    assert status == 200
    assert {c["codec"] for c in json.loads(body)["curves"]} == {"jpeg", "webp"}


def test_what_cannot_be_served_is_refused_with_a_reason(
    tmp_path: Path, address: tuple[str, int]
) -> None:
    run = tmp_path / "run"
    with pytest.raises(WorkbenchError, match="choose another --port"):
        server(Live([run], Options()), *address)
    with pytest.raises(WorkbenchError, match="no run directory"):
        server(Live([tmp_path], Options()), "127.0.0.1", 0)


def test_the_page_follows_a_run_without_being_loaded_again(
    tmp_path: Path, address: tuple[str, int], browser: Any
) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://{address[0]}:{address[1]}/#curves")
    page.get_by_role("checkbox", name="jpeg").wait_for()
    page.evaluate("window.kept = true")
    measure(tmp_path, "webp")
    page.get_by_role("checkbox", name="webp").wait_for(timeout=60_000)
    assert page.evaluate("window.kept")
    assert re.search("live", page.locator("#header").inner_text())
    assert page.locator('[aria-selected="true"]').inner_text() == "Curves"
    page.close()
    assert errors == []
