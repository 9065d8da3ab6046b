"""The overview of a report: ``report.md``, and ``index.html`` that needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from workbench_reports.tables import (
    Table,
    element,
    escape_markdown,
    html_notes,
    html_table,
    markdown,
)

CSS = """
:root { color-scheme: light dark; --fg: #1c1e21; --soft: #5b626b; --bg: #fff; --line: #d8dce1;
  --head: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --fg: #e3e6ea; --soft: #a0a8b2; --bg: #15181c;
  --line: #343a42; --head: #20252b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; color: var(--fg); background: var(--bg);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem;
  border-bottom: 1px solid var(--line); } h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p, .notes, figcaption { color: var(--soft); } .notes, figcaption { font-size: .85rem; }
.notes { padding-left: 1.2rem; }
a { color: inherit; }
.wide { overflow-x: auto; margin: 1rem 0 .5rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; white-space: nowrap; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
td, th { white-space: nowrap; }
.prose td { white-space: normal; min-width: 6rem; max-width: 26rem; overflow-wrap: break-word; }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--bg); }
thead th, thead th:first-child { background: var(--head); } .n { text-align: right; }
tr.first td { border-top: 2px solid var(--line); }
figure { margin: 1rem 0; }
.paper { overflow-x: auto; background: #fff; border-radius: .5rem; padding: .5rem; }
.paper img { display: block; width: 100%; min-width: 36rem; max-width: 54rem; margin: auto; }
summary { cursor: pointer; padding: .3rem 0; }
nav { font-size: .9rem; } nav a { margin-right: 1rem; }
"""


@dataclass
class Section:
    """One heading with tables and figures; ``figures`` are stems of SVG and PNG files."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[tuple[Path, str]] = ()
    notes: Sequence[str] = ()
    folded: Sequence[tuple[str, Table | tuple[Path, str]]] = ()
    parts: list[Section] = field(default_factory=list)
    prose: bool = False


def markdown_page(title: str, sections: Sequence[Section], out: Path) -> str:
    """Return the report for Markdown; figures are linked relative to ``out``."""
    lines = [f"# {escape_markdown(title)}", ""]
    for section in sections:
        lines += _markdown(section, 2, out)
    return "\n".join(lines)


def _markdown(section: Section, level: int, out: Path) -> list[str]:
    lines = [f"{'#' * level} {escape_markdown(section.title)}", ""]
    for text in section.text:
        lines += [escape_markdown(text), ""]
    for table in section.tables:
        lines += [markdown(table), ""]
    folded = [item for _, item in section.folded]
    for stem, caption in [*section.figures, *(i for i in folded if isinstance(i, tuple))]:
        link = quote(f"{stem.relative_to(out).as_posix()}.png")
        lines += [f"![{escape_markdown(caption)}]({link})", ""]
    for table in (i for i in folded if isinstance(i, Table)):
        lines += [markdown(table), ""]
    if section.notes:
        lines += [*(f"- {escape_markdown(note)}" for note in section.notes), ""]
    for part in section.parts:
        lines += _markdown(part, level + 1, out)
    return lines


def html_page(title: str, sections: Sequence[Section]) -> str:
    """Return one page with everything in it; figures are embedded as SVG."""
    links = "".join(
        element("a", html.escape(s.title), href=f"#section-{i}") for i, s in enumerate(sections)
    )
    body = "".join(
        element("section", _html(section, 2), id=f"section-{i}")
        for i, section in enumerate(sections)
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        + element("title", html.escape(title))
        + element("style", CSS)
    )
    main = element("main", element("h1", html.escape(title)), element("nav", links), body)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{main}</body></html>\n'


def _html(section: Section, level: int) -> str:
    parts = [element(f"h{level}", html.escape(section.title))]
    parts += [element("p", html.escape(text)) for text in section.text]
    parts += [html_table(table) for table in section.tables]
    parts += [_figure(*figure) for figure in section.figures]
    parts.append(html_notes(section.notes))
    for summary, item in section.folded:
        inside = html_table(item) if isinstance(item, Table) else _figure(*item)
        parts.append(element("details", element("summary", html.escape(summary)), inside))
    parts += [_html(part, level + 1) for part in section.parts]
    text = "".join(parts)
    return element("div", text, class_="prose") if section.prose else text


def _figure(stem: Path, caption: str) -> str:
    svg = stem.with_name(stem.name + ".svg").read_bytes()
    data = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    image = f'<img src="{data}" alt="{html.escape(caption)}">'
    return element(
        "figure",
        element("div", image, class_="paper"),
        element("figcaption", html.escape(caption)),
    )
