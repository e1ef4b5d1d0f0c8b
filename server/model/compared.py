"""The data by which a bundle is compared with other versions: classes, validation images, and stated answers."""

import json

import numpy as np

from vouch.bundle.digest import bytes_digest
from vouch.bundle.opening import Bundle
from vouch.server.lineup.comparing import MAX_IMAGES, Compared


def compared(bundle: Bundle, right: np.ndarray | None = None) -> Compared:
    """Reads the data from the bundle: it can be relied on only after a recount. Before format 3, a bundle does not
    state single answers.

    Args:
        right: as `Bundle.right_answers`, if already read.

    Raises:
        InvalidBundle: its answers cannot be read.
    """
    manifest, right = bundle.manifest, bundle.right_answers() if right is None else right
    of_old = manifest.training.splits.get("validation")
    split = manifest.validation_digest or (of_old.digest if of_old else "")
    classes = json.dumps([manifest.task, *sorted(manifest.labels)])
    return Compared(classes=bytes_digest(classes.encode()), split=split, right=b"" if right is None else packed(right))


def packed(right: np.ndarray) -> bytes:
    """Answers in the format of `Compared`.

    Args:
        right: bool, shape (N,).
    """
    return np.packbits(right).tobytes() if len(right) <= MAX_IMAGES else b""
