"""What is at a path where a models folder or a bundle was expected, in words: paths are often one folder too deep.

A models folder contains NAME/VERSION/manifest.json. No file is opened; names are enough.
"""

import os
import re
from difflib import get_close_matches
from pathlib import Path

from vouch.bundle.listed import MANIFEST
from vouch.bundle.plain_files import first_entries

VERSION_PATTERN = re.compile(r"[1-9][0-9]{0,8}")
EXPECTED = "expected a models folder, which contains NAME/VERSION"
LOOKED_AT = 100
"""The most entries of a folder that are checked; a wrong folder may be very large."""
NAMED = 5


def not_a_models_folder(path: Path) -> str:
    """Why this path cannot be a models folder, and what can; empty if it can, also for an empty folder."""
    if not os.access(path, os.F_OK):
        near = get_close_matches(path.name, [one.name for one in _folders(_above(path))], n=1)
        meant = _above(path) / near[0] if near else None
        if meant and (why := not_a_models_folder(meant)):  # a model, or a version of one
            return f"{path} does not exist; {why}"
        hint = f"did you mean {meant}?" if meant else "vouch train makes one"
        return f"the models folder {path} does not exist; {hint}"
    if not path.is_dir():
        return f"{path} is a file; {EXPECTED}"
    if _has_manifest(path):
        return f"{path} is one version of a model; {EXPECTED}: {_above(_above(path))}"
    if versions := _versions(path):
        return f"{path} is the folder of one model, with version {_listed(versions)}; {EXPECTED}: {_above(path)}"
    return ""


def without_models(path: Path) -> str:
    """What a models folder without models contains."""
    folders = _folders(path)
    for folder in folders:
        if any(map(_versions, _folders(folder))):
            return f"{path} contains no model, but {folder} does; {EXPECTED}"
        if loose := [one.name for one in _folders(folder) if _has_manifest(one)]:
            return f"{folder} contains {_listed(loose)}; {EXPECTED}, with a number as VERSION, such as {folder / '1'}"
    if held := [entry.name for entry in _entries(path)]:
        return f"{path} contains no model, but {_listed(held)}; {EXPECTED}"
    return f"{path} is empty; vouch train publishes there, as NAME/VERSION"


def not_a_bundle(path: Path) -> str:
    """What this path is, if a bundle was expected but it has no manifest; empty if unknown."""
    if path.is_file():
        return f"{path} is a file; expected the folder of one version, such as models/digits/1"
    if versions := _versions(path):
        return f"{path} contains version {_listed(versions)}; expected one of them: {path / versions[-1]}"
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
    return os.access(folder / MANIFEST, os.F_OK)  # also False if the folder cannot be entered


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
