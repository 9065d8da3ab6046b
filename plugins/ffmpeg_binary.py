"""The ffmpeg program: the one that imageio-ffmpeg carries, or the one ``WORKBENCH_FFMPEG`` names.

Nothing here runs when plugins are listed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from workbench.errors import PluginError

SETTING = "WORKBENCH_FFMPEG"


def path() -> str:
    """Return the program's path.

    Raises:
        PluginError: ``WORKBENCH_FFMPEG`` names no program, or no binary is installed.
    """
    chosen = os.environ.get(SETTING)
    return _chosen(chosen) if chosen else _carried()


def version() -> str:
    """Return the version that the program states, e.g. ``7.1`` or ``n9.0.2-17-g2a571b6068``."""
    return _version(path())


def listing(kind: str) -> str:
    """Return what ``ffmpeg -KIND`` prints; kind is ``encoders``, ``decoders`` or ``filters``."""
    return _ask(path(), kind)


def _chosen(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PluginError(f"{SETTING}={name}: no such program: give the path of an ffmpeg")
    return os.path.abspath(found)


@cache
def _carried() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise PluginError(
            f"imageio-ffmpeg carries no binary for this platform: set {SETTING} to an ffmpeg"
        ) from None


@cache
def _version(program: str) -> str:
    words = _ask(program, "version").split()
    if words[:2] != ["ffmpeg", "version"]:
        raise PluginError(f"{program}: is no ffmpeg: set {SETTING} to one")
    return words[2]


@cache
def _ask(program: str, what: str) -> str:
    try:
        answer = subprocess.run(
            [program, "-hide_banner", f"-{what}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PluginError(
            f"{program}: does not run ({error}): set {SETTING} to an ffmpeg"
        ) from None
    return answer.stdout
