"""Tables, curves and pages from the rows of runs::

from pathlib import Path
from workbench import registry, rows
from workbench_reports import Gallery, Options, write

known = rows.metrics_of(registry.load())
loaded = rows.load("run")
write(loaded, known, Path("run/report"), Options(anchor="jpeg"), gallery=Gallery(["run"], loaded))
"""

from workbench_reports.analysis import Options
from workbench_reports.gallery import Gallery
from workbench_reports.report import Report, write
from workbench_reports.sources import comparable

__all__ = ["Gallery", "Options", "Report", "comparable", "write"]
