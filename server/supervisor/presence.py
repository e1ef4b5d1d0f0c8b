"""What the models folder holds, and whether what is served still lies there as it was published.

A worker that is replaced loads what is served once more: a served folder that is gone is an outage that waits.
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
    """What the last look into the models folder saw."""

    readable: bool = True
    """False where it could not be read, or has not been for too long."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Model's folder -> versions in it: 0 where it was emptied, 1 where they cannot be read."""
    there: Mapping[tuple[str, int], bool] = field(default_factory=dict)
    """Served model and version -> whether its folder is there as it was published."""


@dataclass(frozen=True)
class _Kept:
    verified: VerifiedVersion
    seen: Fingerprint
    there: bool = True


class Presence:
    """Looks after the folders of what is served. Reads files only when a folder has changed."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], _Kept] = {}

    def keep(self, verified: VerifiedVersion, seen: Fingerprint) -> None:
        """This version may be served from now on.

        Args:
            seen: its folder's fingerprint when it was verified.
        """
        self._kept[verified.name, verified.version] = _Kept(verified, seen)

    def look(self, served: Iterable[VerifiedVersion]) -> dict[tuple[str, int], bool]:
        """Model and version of all that is served -> whether it is there; says in the log when that has changed."""
        return {(one.name, one.version): self._look(one) for one in served}

    def _look(self, verified: VerifiedVersion) -> bool:
        key = verified.name, verified.version
        kept = self._kept[key]
        now = fingerprint(verified.path)
        if now == kept.seen:
            return kept.there
        reason = _why_not(verified)
        if self._kept[key] is kept:  # it has not been verified once more meanwhile
            self._kept[key] = replace(kept, seen=now, there=not reason)
            _tell(kept, reason)
        return not reason


def _tell(kept: _Kept, reason: str) -> None:
    place = {"model": kept.verified.name, "version": kept.verified.version}
    if reason and kept.there:
        log.error(
            "%s is served from memory and no longer lies on disk as it was published, where a new worker would load "
            "it: %s",
            *(kept.verified, reason),
            extra=event("served_folder_gone", reason=reason, **place),
        )
    elif not reason and not kept.there:
        log.info("%s lies on disk again", kept.verified, extra=event("served_folder_back", **place))


def _why_not(verified: VerifiedVersion) -> str:
    """Why a folder is not the bundle that was published; empty where it is. Nothing in it is parsed."""
    try:
        if manifest_digest(verified.path) != verified.verdict.digest:
            return f"{verified.path} holds another bundle"
        check_files(verified.path, verified.verdict.files)
    except BundleError as err:
        return str(err)
    return ""


def last_change_s(path: Path) -> float:
    """When a version's folder, or a file in it, was changed last, in seconds since 1970; 0 where there is none."""
    try:
        return max(path.stat().st_mtime, *(changed_ns / 1e9 for _, _, changed_ns in fingerprint(path)), 0.0)
    except OSError:
        return 0.0


def fingerprint(path: Path) -> Fingerprint:
    """Of a version's folder: one that is still being copied is looked at again. Empty where there is none."""
    try:
        entries = [(name, (path / name).stat()) for name in first_entries(path, MAX_ENTRIES)]
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in entries)
