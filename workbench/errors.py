"""The errors a user can cause. The command line prints each as one line; all else is a bug."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NAMES = 40  # in a message; commands that list them all are for more


class WorkbenchError(Exception):
    """Anything a user can mend: the message names the value, the range and the cure."""


class PluginError(WorkbenchError):
    """A plugin is missing, malformed, unavailable here, or broke the contract of the API."""


class ImageError(WorkbenchError):
    """A picture cannot be used as it is."""


class StreamError(WorkbenchError):
    """A stream is cut, damaged, or not what its decoder expects."""


class DatasetError(WorkbenchError):
    """A dataset is missing or does not have the layout it should have."""


class StoreError(WorkbenchError):
    """A run directory is locked, damaged, unwritable, or from another version."""


class WeightsError(WorkbenchError):
    """Weights are missing, damaged, or cannot be fetched."""


def cannot_write(path: object, what: str, error: OSError) -> StoreError:
    """The error for a run directory that takes no more: a full disk, no permission."""
    return StoreError(
        f"{path}: cannot {what} ({error.strerror or error}): "
        "make room or choose another directory, then run again; finished cells are kept"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, else the first known ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f" Known: {', '.join(names[:NAMES])}{more}." if names else ""
