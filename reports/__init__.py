"""Tables, curves and pages from the rows of runs::

from pathlib import Path
from workbench import registry, rows
from workbench_reports import Options, write

known = rows.metrics_of(registry.load())
write(rows.load("run"), known, Path("run/report"), Options(anchor="jpeg"))
"""

from workbench_reports.report import Options, Report, write

__all__ = ["Options", "Report", "write"]
