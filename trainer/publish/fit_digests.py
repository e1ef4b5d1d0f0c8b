"""The bundle's file with digests of the fit images, by which a server recognises images that were trained on."""

from vouch.bundle.fit_digests import pack_fit_digests
from vouch.bundle.listed import FIT_DIGESTS, MAX_FIT_IMAGES
from vouch.cli.console import say
from vouch.sources.examples import Examples
from vouch.sources.images import batches


def fit_digests(fit: Examples, split_digest: str) -> dict[str, bytes]:
    """Its name and content; empty if there are too many images.

    Args:
        split_digest: SHA-256 of the fit split.
    """
    if len(fit) > MAX_FIT_IMAGES:
        say(f"the bundle has no digests of the {len(fit):,} fit images: at most {MAX_FIT_IMAGES:,} can be stored")
        return {}
    return {FIT_DIGESTS: pack_fit_digests(batches(fit.images), split_digest)}
