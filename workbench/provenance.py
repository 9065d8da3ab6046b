"""Where numbers come from: hashes of plugin code, versions, the machine, the command."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import workbench
from workbench.api import Plugin, Task, package_version

# Counts with every key: raise it when a change to the host changes what is measured.
PROTOCOL = 1


def digest(*parts: Any) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of JSON-able parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def plugin_key(plugin: type[Plugin]) -> str:
    """Hash all of a plugin that shapes its results: code, versions, weights."""
    return digest(PROTOCOL, plugin.name, code_hash(plugin), plugin.versions(), plugin.fingerprint())


def prediction_key(task: type[Task]) -> str:
    """Hash all of a task that shapes its predictions: what only judges them is left out."""
    code = code_hash(task, task.predicts_without)
    return digest(PROTOCOL, task.name, code, task.versions(), task.fingerprint())


def code_hash(plugin: type[Plugin], without: tuple[str, ...] = ()) -> str:
    """Hash the modules of a class and its bases, and those they import from the same package.

    Comments and docstrings do not count: they change no result. Neither do modules and packages
    named in ``without``.
    """
    modules = {base.__module__ for base in plugin.__mro__ if issubclass(base, Plugin)}
    return _modules_hash(frozenset(modules - _HOST_WITHOUT_EFFECT), without)


@cache
def _modules_hash(modules: frozenset[str], without: tuple[str, ...]) -> str:
    seen: dict[str, str] = {}
    todo = sorted(modules)
    while todo:
        name = todo.pop()
        if name in seen or any(f"{name}.".startswith(f"{other}.") for other in without):
            continue
        path = _source(name)
        if path is None:
            continue
        seen[name], imports = _module(name, path)
        todo += imports
    return digest(sorted(seen.values()))


@cache
def _module(name: str, path: Path) -> tuple[str, list[str]]:
    """The hash of a module's code, and the local modules it imports."""
    tree = ast.parse(path.read_bytes())
    imports = _local_imports(tree, name, path)
    return hashlib.sha256(ast.dump(_bare(tree)).encode()).hexdigest(), imports


def _source(module: str) -> Path | None:
    """The file of a module, found below its loaded top package.

    ``importlib.util.find_spec`` would import every parent, and with it torch.
    """
    top, *parts = module.split(".")
    loaded = sys.modules.get(top)
    if not parts:
        file = getattr(loaded, "__file__", None)
        return Path(file) if file and file.endswith(".py") else None
    for folder in getattr(loaded, "__path__", ()):
        path = Path(folder, *parts)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


# The contract, the messages and the keys shape no result, and change often.
_HOST_WITHOUT_EFFECT = {
    "workbench",
    "workbench.api",
    "workbench.errors",
    "workbench.points",
    "workbench.provenance",
    "workbench.registry",
    "workbench.training",
    "workbench.weights",
}


def _local_imports(tree: ast.Module, name: str, path: Path) -> list[str]:
    top = name.partition(".")[0]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    local = {item for item in found if item.partition(".")[0] in (top, "workbench")}
    return sorted(local - _HOST_WITHOUT_EFFECT)


def describe_run(arguments: dict[str, Any], plugins: Iterable[type[Plugin]]) -> dict[str, Any]:
    """Everything needed to do a run again: command, versions, machine, plugin hashes."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "arguments": arguments,
        "workbench": workbench.__version__,
        "commit": _commit(),
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "packages": {
            name: package_version(name) for name in ("numpy", "pandas", "pillow", "pyarrow")
        },
        "plugins": {
            plugin.name: {
                "module": plugin.__module__,
                "code": code_hash(plugin),
                "versions": plugin.versions(),
                "fingerprint": plugin.fingerprint(),
            }
            for plugin in plugins
        },
    }


def _commit() -> str | None:
    """The commit of the workbench's own checkout, with a + when it has changes."""
    folder = Path(workbench.__file__).parent
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=40"]
    try:
        # --exclude: no tag stands for the commit.
        found = subprocess.run([*git, "--exclude=*"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
