"""Snapshots of model repositories: which commit is meant, where its files lie, what they are.

A snapshot's files are looked for in the folders of ``WORKBENCH_WEIGHTS``, below
``OWNER--NAME@REVISION``, and then in the hub's cache, where ``hf download`` puts them. Nothing is
fetched by a run. Only safetensors are read, never pickles.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from workbench import weights
from workbench.errors import WeightsError

SETTING = "WORKBENCH_REVISIONS"
HUB = "https://huggingface.co/"
COMMIT = re.compile(r"[0-9a-f]{40}")
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Snapshot:
    """A commit of a model repository, and the files of it that a task reads.

    ``revision`` is the commit's 40 hexadecimal digits, or empty where none is pinned: the user
    then names one in ``WORKBENCH_REVISIONS``, as ``TASK=COMMIT``, several separated by commas.
    That setting also overrides a pinned commit. ``note`` says where a file comes from elsewhere.
    """

    model: str
    revision: str = ""
    files: tuple[str, ...] = ("config.json", "preprocessor_config.json", WEIGHTS)
    note: str = ""

    def commit(self, task: str) -> str:
        """Return the commit that is meant, empty where neither pinned nor set.

        Raises:
            WeightsError: the setting does not hold a commit.
        """
        chosen = dict(
            entry.strip().partition("=")[::2]
            for entry in os.environ.get(SETTING, "").split(",")
            if entry.strip()
        )
        commit = chosen.get(task, self.revision)
        if commit and not COMMIT.fullmatch(commit):
            raise WeightsError(
                f"{SETTING}: {task}={commit} is no commit: write {task}= and its 40 hexadecimal "
                f"digits, from {HUB}{self.model}/commits"
            )
        return commit

    def folder(self, task: str) -> Path | None:
        """Return the folder that holds all files; None where there is none."""
        commit = self.commit(task)
        places = [*self._own(commit), *self._hub(commit)] if commit else []
        return next((p for p in places if all((p / name).is_file() for name in self.files)), None)

    def missing(self, task: str) -> str | None:
        """Return what is missing and how to get it; None where all is there."""
        try:
            commit = self.commit(task)
        except WeightsError as error:
            return str(error)
        if not commit:
            return (
                f"needs {self.model}, of which no commit is pinned: choose one that has {WEIGHTS} "
                f"at {HUB}{self.model}/commits and set {SETTING}={task}=COMMIT"
            )
        if self.folder(task):
            return None
        names = " ".join(self.files)
        return (
            f"needs {self.model} at {commit}: hf download {self.model} --revision {commit}, or put "
            f"{names} from {HUB}{self.model}/tree/{commit} into {self._own(commit)[0]}"
            f"{'; ' + self.note if self.note else ''}"
        )

    def fingerprint(self, task: str) -> dict[str, str]:
        """Return the SHA-256 of each file, whatever commit they are said to be of."""
        folder = self.verified(task)
        return {name: weights.sha256(folder / name) for name in self.files}

    def verified(self, task: str) -> Path:
        """Return the folder; raise WeightsError where something is missing."""
        folder = self.folder(task)
        if folder is None:
            raise WeightsError(f"{task}: {self.missing(task)}")
        return folder

    def _own(self, commit: str) -> list[Path]:
        name = f"{self.model.replace('/', '--')}@{commit}"
        return [folder / name for folder in weights.folders()]

    def _hub(self, commit: str) -> list[Path]:
        # As the hub's own client finds its cache; importing it would slow down every listing.
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
        home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
        hub = Path(os.environ.get("HF_HUB_CACHE", os.path.join(home, "hub"))).expanduser()
        return [hub / f"models--{self.model.replace('/', '--')}" / "snapshots" / commit]
