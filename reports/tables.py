"""Tables of text and how they are written: CSV, Markdown, LaTeX. Names are never markup."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NONE = "–"
LATEX_PREAMBLE = (
    "% \\usepackage[T1]{fontenc} \\usepackage[utf8]{inputenc} "
    "\\usepackage{booktabs,longtable,textcomp}\n"
)
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "[": "{[}",  # at the start of a row it would be an argument of the line before
    "–": "--", "−": r"\textminus{}", "·": r"\textperiodcentered{}", "×": r"\texttimes{}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Formatted cells under headings; the first ``n_text`` columns are text, the rest numbers.

    ``groups`` counts the rows of each block that belongs together; ``notes`` stand below.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_text: int = 1
    groups: Sequence[int] = ()
    notes: Sequence[str] = ()


def axis_label(label: str, unit: str) -> str:
    """Return ``PSNR-RGB [dB]``, or the label alone where there is no unit."""
    return f"{label} [{unit}]" if unit else label


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return CSV at full precision: empty cells for None, lists joined with semicolons."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = (row.get(name) for name in columns)
        writer.writerow(["; ".join(c) if isinstance(c, list) else c for c in cells])
    return out.getvalue()


def escape_markdown(text: str) -> str:
    """Return text that shows as it is in a Markdown paragraph or table cell."""
    text = html.escape(" ".join(text.split()), quote=False)
    text = re.sub(r"([\\`*\[\]|~])", r"\\\1", text)
    # Within a word an underscore is no emphasis, and names read better without backslashes.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def markdown(table: Table) -> str:
    """Return a table for Markdown with its notes as a list."""

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(escape_markdown(cell) for cell in cells)} |"

    rule = ["---" if i < table.n_text else "---:" for i in range(len(table.headings))]
    lines = [line(table.headings), f"| {' | '.join(rule)} |", *map(line, table.rows)]
    if table.title:
        lines = [f"**{escape_markdown(table.title)}**", "", *lines]
    if table.notes:
        lines += ["", *(f"- {escape_markdown(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Return text that LaTeX prints as it is; negative numbers get a minus sign."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "−", " ".join(text.split()))
    return "".join(_LATEX.get(c, c) for c in text)


def latex(table: Table) -> str:
    """Return a longtable with booktabs rules, which may run over pages, and its notes."""
    columns = "l" * table.n_text + "r" * (len(table.headings) - table.n_text)
    head = " & ".join(escape_latex(h) for h in table.headings) + r" \\"
    lines = [
        r"{\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        rf"\caption{{{escape_latex(table.title)}}}\\",
        r"\toprule",
        head,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endlastfoot",
    ]
    ends = set()
    total = 0
    for size in table.groups:
        total += size
        ends.add(total)
    for i, row in enumerate(table.rows, start=1):
        lines.append(" & ".join(escape_latex(cell) for cell in row) + r" \\")
        if i in ends and i < len(table.rows):
            lines.append(r"\addlinespace")
    lines += [r"\end{longtable}}"]
    if table.notes:
        lines += [r"{\footnotesize\begin{itemize}"]
        lines += [rf"\item {escape_latex(note)}" for note in table.notes]
        lines += [r"\end{itemize}}"]
    return "\n".join(lines) + "\n"
