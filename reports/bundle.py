"""Makes one page of the assets and the data: nothing in it needs the network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import cache
from importlib import resources
from typing import Any

LIBRARY = "vendor/plotly-basic.min.js"
SCRIPTS = (
    "core.js", "widgets.js", "charts.js", "overview.js", "curves.js", "matrix.js", "viewer.js",
    "panes.js", "zoom.js", "images.js", "cost.js", "provenance.js", "main.js",
)  # fmt: skip


@cache
def asset(name: str) -> str:
    """Return a text file of the package's assets."""
    return (resources.files("workbench_reports") / "assets" / name).read_text(encoding="utf-8")


def page(title: str, data: dict[str, Any]) -> str:
    """Return the page around its data.

    The browser runs no script but ours: the page's policy holds the hashes of the two scripts, and
    whatever else may look like one in a name is text. Files come from the page's own folder only.
    """
    # One scope around our scripts; the library is a script of its own.
    own = "(() => {\n'use strict';\n" + "\n".join(asset(name) for name in SCRIPTS) + "\n})();\n"
    library = asset(LIBRARY)
    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in (library, own))
    policy = (
        f"default-src 'none'; script-src {hashes} 'self' file:; style-src 'unsafe-inline'; "
        "img-src 'self' file: data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "TITLE": html.escape(title),
        "POLICY": policy,
        "STYLE": asset("page.css"),
        "DATA": json_text(data).replace("<", "\\u003c"),
        "LIBRARY": library,
        "SCRIPT": own,
    }
    text = asset("page.html")
    made = []
    # Cut at the marks once, so that nothing inside one part is taken for a mark of another.
    for piece in text.split("@@"):
        made.append(parts.get(piece, piece))
    return "".join(made)


def json_text(value: Any) -> str:
    """Return compact JSON without NaN and infinities."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
