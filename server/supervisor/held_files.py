"""The files of verified versions, kept open: a new worker can load a served version even if its folder is gone."""

import logging
import os
from collections.abc import Iterable

from vouch.bundle.errors import BundleError
from vouch.bundle.unparsed import hold_bundle
from vouch.server.lineup.verdict import VerifiedVersion
from vouch.server.link.messages import Held
from vouch.server.logs import event

log = logging.getLogger("vouch.server")

MOST_VERSIONS = 64
"""Limit of versions kept open, at most four files each: a process often may open 1,024 files."""


class HeldFiles:
    """Open files by the digest of their bundle."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, int]] = {}

    def hold(self, verified: VerifiedVersion) -> None:
        """Keeps its files readable from now on. If they cannot be kept open, it is served anyway."""
        digest = verified.verdict.digest
        if digest in self._held or len(self._held) >= MOST_VERSIONS:
            return
        try:
            self._held[digest] = hold_bundle(verified.path, verified.verdict.files)
        except (BundleError, OSError) as err:
            log.warning(
                "the files of %s cannot be kept open, so a new worker will need its folder: %s",
                *(verified, err),
                extra=event("not_held", model=verified.name, version=verified.version),
            )

    def keep_alone(self, verified: Iterable[VerifiedVersion]) -> None:
        """Closes the files of all other versions."""
        kept = {one.verdict.digest for one in verified}
        for digest in self._held.keys() - kept:
            for descriptor in self._held.pop(digest).values():
                os.close(descriptor)

    def holds(self, verified: VerifiedVersion) -> bool:
        """Whether the files of this version are kept open."""
        return verified.verdict.digest in self._held

    def of(self, served: Iterable[VerifiedVersion]) -> tuple[Held, ...]:
        """The open files of these versions, without those that are not kept open."""
        digests = [one.verdict.digest for one in served]
        return tuple(Held(digest=digest, files=self._held[digest]) for digest in digests if digest in self._held)
