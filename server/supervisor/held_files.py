"""The files of verified versions, held open: a new worker can load what is served though its folder is gone."""

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
"""That are held, of four files each at most: processes are often allowed 1,024 files."""


class HeldFiles:
    """By the digest of their bundle."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, int]] = {}

    def hold(self, verified: VerifiedVersion) -> None:
        """From now on its files stay readable. Where they cannot be held, it is served all the same."""
        digest = verified.verdict.digest
        if digest in self._held or len(self._held) >= MOST_VERSIONS:
            return
        try:
            self._held[digest] = hold_bundle(verified.path, verified.verdict.files)
        except (BundleError, OSError) as err:
            log.warning(
                "%s cannot be held open, so that its folder is needed when a worker is replaced: %s",
                *(verified, err),
                extra=event("not_held", model=verified.name, version=verified.version),
            )

    def keep_alone(self, verified: Iterable[VerifiedVersion]) -> None:
        """Lets go of all others."""
        kept = {one.verdict.digest for one in verified}
        for digest in self._held.keys() - kept:
            for descriptor in self._held.pop(digest).values():
                os.close(descriptor)

    def holds(self, verified: VerifiedVersion) -> bool:
        """Whether the files of this version are held."""
        return verified.verdict.digest in self._held

    def of(self, served: Iterable[VerifiedVersion]) -> tuple[Held, ...]:
        """Those of these versions that are held."""
        digests = [one.verdict.digest for one in served]
        return tuple(Held(digest=digest, files=self._held[digest]) for digest in digests if digest in self._held)
