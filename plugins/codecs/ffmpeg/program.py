"""The encoders of the ffmpeg program."""

from __future__ import annotations

import os
import re

from workbench_plugins import ffmpeg_binary

_listed: dict[str, frozenset[str]] = {}


def is_own() -> bool:
    """Whether the user named a program, in place of the one that imageio-ffmpeg carries."""
    return bool(os.environ.get(ffmpeg_binary.SETTING))


def encoders() -> frozenset[str]:
    """The video encoders that the program was built with; asks it once a process.

    Raises:
        PluginError: there is no program, or it does not answer.
    """
    path = ffmpeg_binary.path()
    if path not in _listed:
        listing = ffmpeg_binary.listing("encoders")
        _listed[path] = frozenset(re.findall(r"^ V[\w.]{5} (\S+)", listing, re.M))
    return _listed[path]


def known_encoders() -> frozenset[str] | None:
    """What :func:`encoders` found out about the program, None before it was asked.

    Raises:
        PluginError: there is no program.
    """
    return _listed.get(ffmpeg_binary.path())
