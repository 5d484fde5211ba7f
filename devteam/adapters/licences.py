"""The licence of an installed package, as its own installation says; a workspace's own packages come first."""

import json
import os
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import Final

_LIMIT: Final = 200_000
_NAME: Final = re.compile(r"(@[\w.-]+/)?[\w.-]+")
_LONGEST: Final = 100
"""Some packages put the whole text of their licence where its name belongs."""


def licence_of(workspace: Path, ecosystem: str, name: str) -> str | None:
    """The licence's name; None where nothing is installed that tells."""
    if _NAME.fullmatch(name) is None or ".." in name:
        return None
    if ecosystem == "npm":
        return _npm(_read(workspace, workspace / "node_modules" / name / "package.json"))
    if ecosystem == "python":
        return _python_here(workspace, name) or _python_beside(name)
    return None


def _python_here(workspace: Path, name: str) -> str | None:
    for folder in _site_packages(workspace):
        for entry in _entries(folder):
            if entry.endswith(".dist-info") and _plain(entry.partition("-")[0]) == _plain(name):
                text = _read(workspace, folder / entry / "METADATA")
                found = None if text is None else _from_headers(HeaderParser().parsestr(text))
                if found is not None:
                    return found
    return None


def _site_packages(workspace: Path) -> Iterator[Path]:
    for environment in (".venv", "venv"):
        for version in _entries(workspace / environment / "lib"):
            yield workspace / environment / "lib" / version / "site-packages"


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _python_beside(name: str) -> str | None:
    """From the environment that gates run in, which is the engine's own."""
    try:
        headers = metadata.metadata(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return _chosen(headers.get_all("License-Expression"), headers.get_all("Classifier"), headers.get_all("License"))


def _from_headers(headers: Message) -> str | None:
    return _chosen(headers.get_all("License-Expression"), headers.get_all("Classifier"), headers.get_all("License"))


def _chosen(expression: list[str] | None, classifiers: list[str] | None, field: list[str] | None) -> str | None:
    """The expression, else what a short field says, else what the classifiers say."""
    for text in [*(expression or []), *(field or [])]:
        if text.strip() and len(text) <= _LONGEST and "\n" not in text and text.strip().upper() != "UNKNOWN":
            return text.strip()
    named = [text.rpartition("::")[2].strip() for text in classifiers or [] if text.startswith("License ::")]
    return ", ".join(named)[:_LONGEST] or None


def _npm(text: str | None) -> str | None:
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    licence = found.get("license") if isinstance(found, dict) else None
    if isinstance(licence, dict):
        licence = licence.get("type")
    return licence[:_LONGEST] if isinstance(licence, str) and licence else None


def _read(workspace: Path, path: Path) -> str | None:
    """The head of a file inside the workspace: what lies there was written by whoever did the task."""
    try:
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(os.path.realpath(workspace)) or not real.is_file():
            return None
        with real.open("rb") as file:
            return file.read(_LIMIT).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
