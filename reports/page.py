"""The overview of a report as Markdown: ``report.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from workbench_reports.tables import Table, escape_markdown, markdown


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
