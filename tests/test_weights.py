"""Weights: finding, verifying and fetching them, against a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import platformdirs
import pytest
from typer.testing import CliRunner

from workbench import weights
from workbench.errors import PluginError, WeightsError
from workbench.weights import WeightFile

CONTENT = bytes(range(256)) * 5000  # more than one chunk
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; ``cut`` ends answers early, ``ranges`` says whether Range is understood."""

    cut: int | None = None
    ranges = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/net.pth"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.path != "/net.pth":
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The one folder that is searched before an empty user cache."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def weight_file(url="http://127.0.0.1:9/net.pth", sha256=DIGEST):
    return WeightFile("net.pth", url, sha256, size_mb=1.2, licence="CC0-1.0")


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.pth").write_bytes(content)
    return folder / "net.pth"


# Finding and verifying


def test_folders_of_the_setting_come_before_the_users_cache(tmp_path, monkeypatch):
    one, two, cache = tmp_path / "one", tmp_path / "two", tmp_path / "cache/codec-workbench/weights"
    monkeypatch.setenv("WORKBENCH_WEIGHTS", os.pathsep.join([str(one), "", str(two)]))
    assert weights.folders() == [one, two, cache]
    assert weights.find(weight_file()) is None
    for place in (cache, two, one):
        path = put(place)
        assert weights.find(weight_file()) == path
    monkeypatch.delenv("WORKBENCH_WEIGHTS")
    assert weights.folders() == [cache]


def test_missing_weights_are_named_with_source_folder_and_checksum(folder):
    reason = weights.missing([weight_file(sha256="0123abcd")])
    assert reason == (
        "needs weights: workbench weights pull net.pth, or put net.pth (1 MiB, sha256 0123abcd...) "
        f"from http://127.0.0.1:9/net.pth into {folder}"
    )
    with pytest.raises(WeightsError, match="net.pth: needs weights: workbench weights pull"):
        weights.verified(weight_file())
    put(folder)
    assert weights.missing([weight_file()]) is None


@pytest.mark.parametrize("digits", [8, 63, 64])
def test_a_file_is_verified_by_all_digits_that_upstream_publishes(folder, digits):
    path = put(folder)
    assert weights.verified(weight_file(sha256=DIGEST[:digits])) == path
    wrong = DIGEST[: digits - 1] + ("0" if DIGEST[digits - 1] != "0" else "1")
    with pytest.raises(WeightsError, match=f"net.pth: its sha256 is {DIGEST}, expected {wrong}"):
        weights.verified(weight_file(sha256=wrong))


def test_a_file_that_changes_is_verified_again(folder):
    path = put(folder)
    weights.verified(weight_file())
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="its sha256 is"):
        weights.verified(weight_file())


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("a/b.pth", DIGEST),
        ("net.pth", "1234567"),
        ("net.pth", DIGEST + "0"),
        ("net.pth", "ABCDEF01"),
    ],
)
def test_a_manifest_with_a_path_or_a_bad_checksum_is_refused(name, sha256):
    with pytest.raises(WeightsError, match="8 to 64 lower-case hexadecimal digits"):
        WeightFile(name, "http://127.0.0.1:9/", sha256, 1, "CC0-1.0")


def test_loading_returns_tensors_and_runs_no_code(folder):
    torch = pytest.importorskip("torch")
    folder.mkdir()
    path = folder / "net.pth"

    def file():
        return weight_file(sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    torch.save({"a": torch.arange(3)}, path)
    assert weights.load(file())["a"].tolist() == [0, 1, 2]
    torch.save({"a": Path("harmless")}, path)  # any class but tensors and plain data
    with pytest.raises(WeightsError, match="no state dictionary of tensors"):
        weights.load(file())
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="holds list, expected a state dictionary"):
        weights.load(file())
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="no state dictionary of tensors"):
        weights.load(file())


# Fetching


def test_pulling_verifies_tells_of_progress_and_asks_the_network_once(server, folder):
    told = []
    path = weights.pull(weight_file(server.url), progress=lambda *call: told.append(call))
    assert path == folder / "net.pth"
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 1
    assert weights.pull(weight_file(server.url)) == path
    assert server.asked == [None]
    assert not list(folder.glob("*.part"))


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(server, folder):
    server.cut = 700_000
    with pytest.raises(WeightsError, match=r"ended after 700000 of 1280000 bytes.*goes on where"):
        weights.pull(weight_file(server.url))
    assert (folder / "net.pth.part").stat().st_size == 700_000
    assert weights.find(weight_file()) is None
    server.cut = None
    told = []
    path = weights.pull(weight_file(server.url), progress=lambda *call: told.append(call))
    assert server.asked == [None, "bytes=700000-"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(server, folder):
    server.ranges = False
    put(folder).rename(folder / "net.pth.part")
    (folder / "net.pth.part").write_bytes(b"something else")
    assert weights.pull(weight_file(server.url)).read_bytes() == CONTENT


def test_a_download_that_ended_before_its_check_is_only_checked(server, folder):
    put(folder).rename(folder / "net.pth.part")
    assert weights.pull(weight_file(server.url)).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_damaged_file_is_replaced(server, folder):
    put(folder, b"damaged")
    assert weights.pull(weight_file(server.url)).read_bytes() == CONTENT


def test_what_has_the_wrong_checksum_is_deleted(server, folder):
    with pytest.raises(WeightsError, match=f"what came has sha256 {DIGEST}, expected 00000000"):
        weights.pull(weight_file(server.url, "00000000"))
    assert [path.name for path in folder.iterdir()] == ["net.pth.lock"]


def test_network_and_disk_errors_name_url_and_folder(server, folder, tmp_path):
    lost = server.url.replace("net.pth", "lost.pth")
    with pytest.raises(WeightsError, match=rf"net.pth: .* {lost} into {folder} \(.*404"):
        weights.pull(weight_file(lost))
    with pytest.raises(WeightsError, match="cannot be fetched from http://127.0.0.1:9/net.pth"):
        weights.pull(weight_file())
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=f"into {tmp_path / 'file'}"):
        weights.pull(weight_file(server.url), tmp_path / "file")


# The command


PLUGIN = """
import workbench
from workbench.weights import WeightFile

class Net(workbench.Task):
    name = "net-task"
    metrics = (workbench.Metric("score", "score", "a score"),)
    weights = (WeightFile("net.pth", {url!r}, {digest!r}, 1.2, "CC0-1.0"),)

@workbench.hookimpl
def workbench_tasks():
    return [Net]
"""


@pytest.fixture
def command(server, tmp_path):
    """Run ``workbench weights ...`` with a plugin that needs the server's file."""
    from workbench.cli.weights import app

    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN.format(url=server.url, digest=DIGEST))

    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--plugin", str(plugin)])

    return run


def test_the_command_lists_pulls_verifies_and_finds(command, folder, server):
    (before,) = (e for e in json.loads(command("list", "--json").stdout) if e["name"] == "net.pth")
    assert before == {
        "name": "net.pth",
        "needed_by": ["net-task"],
        "size_mb": 1.2,
        "licence": "CC0-1.0",
        "url": server.url,
        "sha256": DIGEST,
        "path": None,
    }
    assert "net-task: missing" in command("list").stdout
    assert isinstance(command("path", "net.pth").exception, WeightsError)

    pulled = command("pull", "net-task")  # by the plugin's name
    assert pulled.stdout == f"{folder / 'net.pth'}\n"
    assert command("path", "net.pth").stdout == pulled.stdout
    assert command("verify").stdout == "net.pth: ok\n"
    assert json.loads(command("pull", "net.pth", "--json").stdout) == [
        {"name": "net.pth", "path": str(folder / "net.pth")}
    ]


def test_the_command_fails_on_damaged_weights_and_unknown_names(command, folder):
    put(folder, b"damaged")
    result = command("verify", "net.pth", "--json")
    assert result.exit_code == 1
    (verdict,) = json.loads(result.stdout)
    assert verdict["ok"] is False
    assert "its sha256 is" in verdict["fault"]
    error = command("pull", "net.pt").exception
    assert isinstance(error, PluginError)
    assert "no weights 'net.pt'" in str(error)
    assert "Did you mean 'net.pth'?" in str(error)


def test_the_command_prints_the_folders_in_order(command, folder, tmp_path):
    cache = tmp_path / "cache" / "codec-workbench" / "weights"
    assert command("path").stdout.splitlines() == [str(folder), str(cache)]
