"""What the page shows of a version in addition to its REST message: all from the manifest."""

from typing import Any

from vouch.bundle.claims import Claim
from vouch.bundle.listed import CARD, REPORT
from vouch.bundle.manifest import Manifest

MOST_CLASSES = 20
"""Most classes for which the page shows the whole confusion matrix."""
MOST_PAIRS = 20
"""For more classes: the number of most frequent mistakes shown."""


def about(manifest: Manifest, shows_images: bool) -> dict[str, Any]:
    """As JSON: how it learned, which documents exist, and its confusion matrix.

    Args:
        shows_images: whether report and example images may be shown.
    """
    training = manifest.training
    network = training.recipe.model if training.recipe else None
    fit = training.splits.get("fit")
    return {
        "network": "backbone" if training.backbone else network,
        "fit_images": fit.size if fit else None,
        "quantized": manifest.quantization is not None,
        "report": shows_images and REPORT in manifest.files,
        "card": CARD in manifest.files,
        "examples": shows_images,
        "confusion": _confusion(manifest),
    }


def _confusion(manifest: Manifest) -> dict[str, Any] | None:
    """Rows of (label, answer, images), with indices of labels; None for a multi-label model."""
    if not isinstance(manifest.claim, Claim):
        return None
    pairs = list(manifest.claim.confusion.pairs())
    whole = len(manifest.labels) <= MOST_CLASSES
    if not whole:
        wrong = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: -pair[2])
        pairs = wrong[:MOST_PAIRS]
    return {"whole": whole, "pairs": pairs}
