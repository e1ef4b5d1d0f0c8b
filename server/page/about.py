"""What the page shows of a version beside its message in the REST interface: all of it from the manifest."""

from typing import Any

from vouch.bundle.claims import Claim
from vouch.bundle.listed import CARD, REPORT
from vouch.bundle.manifest import Manifest

MOST_CLASSES = 20
"""Of a confusion matrix that is shown as one."""
MOST_PAIRS = 20
"""Of a larger one, so many of the pairs that were confused most."""


def about(manifest: Manifest, shows_images: bool) -> dict[str, Any]:
    """As JSON: how it learned, which documents there are, and what it took for what.

    Args:
        shows_images: whether report and example images may be asked for.
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
    """Rows of label, answer and images, by positions of the labels; None of a multi-label model."""
    if not isinstance(manifest.claim, Claim):
        return None
    pairs = list(manifest.claim.confusion.pairs())
    whole = len(manifest.labels) <= MOST_CLASSES
    if not whole:
        wrong = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: -pair[2])
        pairs = wrong[:MOST_PAIRS]
    return {"whole": whole, "pairs": pairs}
