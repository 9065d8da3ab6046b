"""Serves the page of runs over HTTP while they go on. Read-only: it answers GET and HEAD alone.

No request names a file: every path is one of those that :meth:`Live.answer` knows, and pictures
are found by names that the page was given. What is asked for is made when it is asked for.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from workbench import registry
from workbench import rows as run_rows
from workbench.errors import WorkbenchError
from workbench.measure import describe
from workbench_reports import bundle
from workbench_reports.analysis import Options, analyse, page_data
from workbench_reports.exhibit import Exhibit, Make, encoded
from workbench_reports.gallery import Gallery
from workbench_reports.report import TITLE, detail_script
from workbench_reports.sources import comparable

EVERY_S = 3.0
RESAMPLES = 200  # a fifth of a report's: while a run goes on, intervals come sooner
KEPT_PICTURES = 64
TYPES = {"webp": "image/webp", "png": "image/png"}


@dataclass(frozen=True)
class Answer:
    """What a path is answered with."""

    body: bytes
    kind: str
    status: int = 200
    tag: str = ""


@dataclass
class Live:
    """The page of some run directories, made anew when their rows change."""

    folders: Sequence[Path]
    options: Options
    plugins: Sequence[str] = ()
    data_root: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _state: str = ""
    _page: Answer | None = None
    _data: Answer | None = None
    _exhibit: Exhibit | None = None
    _disagreements: dict[tuple[str, str], float] = field(default_factory=dict)
    _makers: dict[str, Make] = field(default_factory=dict)
    _pictures: dict[str, bytes] = field(default_factory=dict)

    def answer(self, path: str) -> Answer:
        """Answer one path; what is not known is 404, what cannot be made says why."""
        try:
            with self._lock:
                if path in ("/", "/index.html"):
                    return self._current()[0]
                if path == "/report.json":
                    return self._current()[1]
                if match := re.fullmatch(r"/pictures/(\d{1,6})-(\d{1,9})\.js", path):
                    return self._detail(int(match[1]), int(match[2]))
                if match := re.fullmatch(r"/pictures/([a-z][0-9a-f]{1,64}\.(webp|png))", path):
                    return self._picture(match[1], TYPES[match[2]])
        except Exception as error:  # of a codec, a dataset or a run that is being written
            return Answer(describe(error).encode(), "text/plain; charset=utf-8", 503)
        return Answer(b"not found", "text/plain; charset=utf-8", 404)

    def _current(self) -> tuple[Answer, Answer]:
        state = self._fingerprint()
        if state != self._state or self._page is None or self._data is None:
            self._page, self._data = self._made(state)
            self._state = state
        return self._page, self._data

    def _fingerprint(self) -> str:
        """Changes whenever rows are added."""
        seen = [
            (str(path), status.st_size, status.st_mtime_ns)
            for folder in self.folders
            for pattern in ("journal-*.jsonl", "rows/*.parquet", "items.json", "runs/*.json")
            for path in sorted(Path(folder).glob(pattern))
            if (status := path.stat())
        ]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:32]

    def _made(self, state: str) -> tuple[Answer, Answer]:
        rows = run_rows.load(*self.folders)
        known = run_rows.metrics_of(registry.load(self.plugins))
        analysis = analyse(rows, known, replace(self.options, resamples=RESAMPLES))
        gallery = Gallery(self.folders, rows, self.plugins, self.data_root)
        self._exhibit = Exhibit(gallery, analysis.measured, self._disagreements)
        series = analysis.measured.series
        analysis = replace(analysis, disagreements=[self._exhibit.disagreement(s) for s in series])
        extra = {"pictures": {}, "live": {"every_s": EVERY_S, "tag": f'"{state}"'}}
        made = page_data(analysis, (), extra)
        data = bundle.json_text(made).encode()
        return (
            Answer(bundle.page(TITLE, made).encode(), "text/html; charset=utf-8"),
            Answer(data, "application/json", tag=f'"{state}"'),
        )

    def _detail(self, dataset: int, image: int) -> Answer:
        self._current()
        exhibit = self._exhibit
        assert exhibit is not None
        names = dict(enumerate(exhibit.datasets))
        series = [s for s in exhibit.series if s.dataset == names.get(dataset)]
        if not series or image >= len(series[0].images):
            return Answer(b"not found", "text/plain; charset=utf-8", 404)
        found = exhibit.detail(
            names[dataset], series[0].images[image], self._remember, lambda *_: True
        )
        text = detail_script(dataset, image, found)
        return Answer(text.encode(), "text/javascript; charset=utf-8")

    def _remember(self, name: str, make: Make) -> str | None:
        self._makers[name] = make
        return None

    def _picture(self, name: str, kind: str) -> Answer:
        if name not in self._pictures:
            if name not in self._makers:
                return Answer(b"not found", "text/plain; charset=utf-8", 404)
            self._pictures[name] = encoded(name, self._makers[name]())
            while len(self._pictures) > KEPT_PICTURES:
                del self._pictures[next(iter(self._pictures))]
        return Answer(self._pictures[name], kind)


def server(live: Live, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that is bound, but does not serve yet; port 0 takes a free one.

    Raises:
        WorkbenchError: nothing to show, or the address cannot be had.
    """
    comparable(live.folders)
    run_rows.load(*live.folders)

    class Handler(BaseHTTPRequestHandler):
        """Hands paths to ``live``."""

        server_version = "workbench"
        sys_version = ""

        def do_GET(self) -> None:
            self._reply(with_body=True)

        def do_HEAD(self) -> None:
            self._reply(with_body=False)

        def _reply(self, with_body: bool) -> None:
            if not _asked_by_name(self.headers.get("Host", ""), host):
                answer = Answer(b"this host is not served", "text/plain; charset=utf-8", 403)
            else:
                answer = live.answer(self.path.partition("?")[0])
            if answer.tag and self.headers.get("If-None-Match") == answer.tag:
                answer = replace(answer, body=b"", status=304)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-cache")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            if answer.tag:
                self.send_header("ETag", answer.tag)
            if answer.status == 503:  # a run that has no rows yet: the browser asks again
                self.send_header("Refresh", str(EVERY_S))
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing: the command has its own words."""

    class Server(ThreadingHTTPServer):
        """Of the family of addresses that the host is of."""

        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        return Server((host, port), Handler)
    except OSError as error:
        raise WorkbenchError(
            f"{host}:{port}: cannot be served ({error.strerror}): choose another --port or --host"
        ) from None


def _asked_by_name(asked: str, host: str) -> bool:
    """Whether a request names the host it was meant for.

    A page elsewhere whose name is pointed at this machine must not read what is served here, so on
    loopback only loopback names are answered.
    """
    if not is_loopback(host):
        return True
    name = asked.rpartition(":")[0] if re.search(r":\d+$", asked) else asked
    return is_loopback(name.strip("[]"))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
