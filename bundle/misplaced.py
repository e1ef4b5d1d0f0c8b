"""What lies at a path where a models folder or a bundle was expected, in words: one folder too deep is an easy slip.

A models folder holds NAME/VERSION/manifest.json. Nothing here is opened; names of folders and files are enough.
"""

import os
import re
from difflib import get_close_matches
from pathlib import Path

from vouch.bundle.listed import MANIFEST
from vouch.bundle.plain_files import first_entries

VERSION_PATTERN = re.compile(r"[1-9][0-9]{0,8}")
EXPECTED = "expected a models folder, which holds NAME/VERSION"
LOOKED_AT = 100
"""Entries of a folder; who points at something else may point at a very large one."""
NAMED = 5


def not_a_models_folder(path: Path) -> str:
    """Why this path cannot be meant as a models folder, and what can; empty where it can, an empty folder too."""
    if not os.access(path, os.F_OK):
        near = get_close_matches(path.name, [one.name for one in _folders(_above(path))], n=1)
        meant = _above(path) / near[0] if near else None
        if meant and (why := not_a_models_folder(meant)):  # a model, or a version of one
            return f"there is no {path}; {why}"
        return f"there is no models folder {path}{f'; did you mean {meant}?' if meant else '; vouch train makes one'}"
    if not path.is_dir():
        return f"{path} is a file; {EXPECTED}"
    if _has_manifest(path):
        return f"{path} is one version of a model; {EXPECTED}: {_above(_above(path))}"
    if versions := _versions(path):
        return f"{path} is the folder of one model, with version {_listed(versions)}; {EXPECTED}: {_above(path)}"
    return ""


def without_models(path: Path) -> str:
    """What a models folder holds in which no model was found."""
    folders = _folders(path)
    for folder in folders:
        if any(map(_versions, _folders(folder))):
            return f"{path} holds no model, {folder} does; {EXPECTED}"
        if loose := [one.name for one in _folders(folder) if _has_manifest(one)]:
            return (
                f"{folder} holds {_listed(loose)}; {EXPECTED}, a version's folder being a number such as {folder / '1'}"
            )
    if held := [entry.name for entry in _entries(path)]:
        return f"{path} holds no model, but {_listed(held)}; {EXPECTED}"
    return f"{path} is empty; vouch train publishes there, as NAME/VERSION"


def not_a_bundle(path: Path) -> str:
    """What this path is, where a bundle was expected and it has no manifest; empty where there is nothing to add."""
    if path.is_file():
        return f"{path} is a file; expected the folder of one version, such as models/digits/1"
    if versions := _versions(path):
        return f"{path} holds version {_listed(versions)}; expected one of them: {path / versions[-1]}"
    for folder in _folders(path):
        if versions := _versions(folder):
            return f"{path} is a models folder; expected one version of a model: {folder / versions[-1]}"
    if len(versions := _versions(_above(path))) and VERSION_PATTERN.fullmatch(path.name):
        return f"{_above(path)} has version {_listed(versions)}"
    return ""


def _versions(folder: Path) -> list[str]:
    """Versions that have a manifest, ascending."""
    found = [one.name for one in _folders(folder) if VERSION_PATTERN.fullmatch(one.name) and _has_manifest(one)]
    return sorted(found, key=int)


def _has_manifest(folder: Path) -> bool:
    return os.access(folder / MANIFEST, os.F_OK)  # False too where the folder may not be entered


def _folders(path: Path) -> list[Path]:
    try:
        return [entry for entry in _entries(path) if entry.is_dir()]
    except OSError:
        return []


def _entries(path: Path) -> list[Path]:
    try:
        return [path / name for name in first_entries(path, LOOKED_AT) if not name.startswith(".")]
    except OSError:
        return []


def _above(path: Path) -> Path:
    return path / ".." if path.name in ("", "..") else path.parent


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
