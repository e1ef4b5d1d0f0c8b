"""What the models folder contains, and whether the served versions are still there as published.

A replacement worker loads the served versions again: without their folders, the next replacement is an outage.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vouch.bundle.contents import MAX_ENTRIES, check_files
from vouch.bundle.errors import BundleError
from vouch.bundle.plain_files import first_entries
from vouch.bundle.unparsed import manifest_digest
from vouch.server.lineup.verdict import VerifiedVersion
from vouch.server.logs import event

log = logging.getLogger("vouch.server")

Fingerprint = tuple[tuple[str, int, int], ...]
"""(name, bytes, nanoseconds of the last change) of each file in a folder."""


@dataclass(frozen=True)
class Found:
    """What the last scan of the models folder found."""

    readable: bool = True
    """False if it could not be read, or was not read for too long."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Model's folder -> number of its versions: 0 if it was emptied, 1 if it cannot be read."""
    there: Mapping[tuple[str, int], bool] = field(default_factory=dict)
    """Served model and version -> whether its folder is there as published."""


@dataclass(frozen=True)
class _Kept:
    verified: VerifiedVersion
    seen: Fingerprint
    there: bool = True


class Presence:
    """Watches the folders of the served versions. Reads files only when a folder has changed."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], _Kept] = {}

    def keep(self, verified: VerifiedVersion, seen: Fingerprint) -> None:
        """This version may be served from now on.

        Args:
            seen: its folder's fingerprint when it was verified.
        """
        self._kept[verified.name, verified.version] = _Kept(verified, seen)

    def look(self, served: Iterable[VerifiedVersion]) -> dict[tuple[str, int], bool]:
        """Served model and version -> whether it is there; logs when that changes."""
        return {(one.name, one.version): self._look(one) for one in served}

    def _look(self, verified: VerifiedVersion) -> bool:
        key = verified.name, verified.version
        kept = self._kept[key]
        now = fingerprint(verified.path)
        if now == kept.seen:
            return kept.there
        reason = _why_not(verified)
        if self._kept[key] is kept:  # it was not verified again meanwhile
            self._kept[key] = replace(kept, seen=now, there=not reason)
            _tell(kept, reason)
        return not reason


def _tell(kept: _Kept, reason: str) -> None:
    place = {"model": kept.verified.name, "version": kept.verified.version}
    if reason and kept.there:
        log.error(
            "%s is served from memory, but its folder was changed or removed, and a new worker would load it from "
            "there: %s",
            *(kept.verified, reason),
            extra=event("served_folder_gone", reason=reason, **place),
        )
    elif not reason and not kept.there:
        log.info(
            "the folder of %s is complete and unchanged again",
            kept.verified,
            extra=event("served_folder_back", **place),
        )


def _why_not(verified: VerifiedVersion) -> str:
    """Why a folder is not the published bundle; empty if it is. Nothing in it is parsed."""
    try:
        if manifest_digest(verified.path) != verified.verdict.digest:
            return f"{verified.path} contains another bundle"
        check_files(verified.path, verified.verdict.files)
    except BundleError as err:
        return str(err)
    return ""


def last_change_s(path: Path) -> float:
    """When a version's folder, or a file in it, was last changed, in seconds since 1970; 0 if there is none."""
    try:
        return max(path.stat().st_mtime, *(changed_ns / 1e9 for _, _, changed_ns in fingerprint(path)), 0.0)
    except OSError:
        return 0.0


def fingerprint(path: Path) -> Fingerprint:
    """Fingerprint of a version's folder, which changes while it is being copied. Empty if there is no folder."""
    try:
        entries = [(name, (path / name).stat()) for name in first_entries(path, MAX_ENTRIES)]
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in entries)
