"""What a bundle is compared with other versions by: its classes, validation images, and the answers that it states."""

import json

from vouch.bundle.digest import bytes_digest
from vouch.bundle.store import Bundle
from vouch.server.lineup.comparing import Compared


def compared(bundle: Bundle) -> Compared:
    """Read from the bundle as it is: only what its recount has proven is to be relied on.

    Raises:
        InvalidBundle: its answers cannot be read.
    """
    manifest = bundle.manifest
    validation = manifest.training.splits.get("validation")
    classes = json.dumps([manifest.task, *sorted(manifest.labels)])
    return Compared(classes=bytes_digest(classes.encode()), split=validation.digest if validation else "")
