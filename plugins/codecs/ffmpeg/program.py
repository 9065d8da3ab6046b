"""Finding the ffmpeg program, and what it can do.

The program is the one that imageio-ffmpeg carries, or the one that the environment variable
``WORKBENCH_FFMPEG`` names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

from workbench.errors import PluginError

SETTING = "WORKBENCH_FFMPEG"
ANSWER_S = 60.0


@dataclass(frozen=True)
class Build:
    """An ffmpeg program: where it is, its version line, the encoders it was built with."""

    path: str
    version: str
    encoders: frozenset[str]


def own_binary() -> str | None:
    """The program that the setting names, or None where imageio-ffmpeg's is used."""
    return os.environ.get(SETTING) or None


def executable() -> str:
    """Path of the ffmpeg program.

    Raises:
        PluginError: the setting names nothing that can be run, or imageio-ffmpeg has no program.
    """
    own = own_binary()
    if own is not None:
        found = shutil.which(own)
        if found is None:
            raise PluginError(f"{SETTING}={own}: no program that can be run: correct or unset it")
        return found
    return _carried()


@cache
def _carried() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise PluginError(f"imageio-ffmpeg has no program here ({error}): set {SETTING}") from None


@cache
def build(path: str) -> Build:
    """Ask an ffmpeg program for its version and encoders; two short runs, once a process.

    Raises:
        PluginError: it cannot be run, or does not answer as ffmpeg does.
    """
    banner = _ask(path, "-version")
    match = re.match(r"(ffmpeg version \S+)", banner)
    if match is None:
        raise PluginError(f"{path}: does not answer as ffmpeg does: set {SETTING} to one that does")
    listing = _ask(path, "-hide_banner", "-encoders")
    answer = Build(path, match[1], frozenset(re.findall(r"^ V[\w.]{5} (\S+)", listing, re.M)))
    _known[path] = answer
    return answer


_known: dict[str, Build] = {}


def known(path: str) -> Build | None:
    """What :func:`build` found out about a program, or None before it was asked."""
    return _known.get(path)


def _ask(path: str, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            [path, *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=ANSWER_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PluginError(f"{path}: cannot be run ({error}): correct or unset {SETTING}") from None
    return answer.stdout.decode(errors="replace")
