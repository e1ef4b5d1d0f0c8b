"""Counts how many of a stream's images are in the models' fit splits; never returns which ones.

For callers who count right answers and want to know whether the count is meaningful. Nothing is done for a stream that
does not request it. No count is returned for few images, because it could reveal single images. Knows no message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

import numpy as np

from vouch.bundle.errors import BundleError
from vouch.bundle.fit_digests import FitDigests
from vouch.bundle.listed import FIT_DIGESTS
from vouch.bundle.opening import Bundle
from vouch.server.budget import Hold
from vouch.server.logs import event
from vouch.server.services.images import Images

log = logging.getLogger("vouch.server")

ASKED = "vouch-count-fit-images"
"""The header of a stream that requests the count; its value is `1`."""
COMPARED, AMONG = "vouch-compared-images", "vouch-fit-images"
"""The trailers of the response: how many images were compared, and how many of them are in the fit split."""
FEWEST = 100
"""Fewest images for which the count is returned."""
AT_ONCE_BYTES = 1 << 16
"""Digests of up to this many bytes are computed on the event loop: about 0.1 ms."""


class FitImages:
    """The digests of bundles, kept in memory while a stream uses them, once for all such streams.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[str, FitDigests] = WeakValueDictionary()

    async def digests(self, bundle: Bundle, hold: Hold) -> FitDigests | None:
        """The fit digests of a bundle.

        Args:
            hold: takes their bytes from the budget.

        Returns:
            None if it has none, if they cannot be read, or if the budget has no room for them.
        """
        entry = bundle.manifest.files.get(FIT_DIGESTS)
        if entry is None or not hold.takes("evaluated", entry.size):
            return None
        if (found := self._loaded.get(bundle.digest)) is not None:
            return found
        try:
            found = await asyncio.to_thread(bundle.read_fit_digests)
        except BundleError as err:
            log.warning(
                "%s of %s cannot be read as published: %s",
                *(FIT_DIGESTS, bundle, err),
                extra=event("fit_digests_unreadable", model=bundle.manifest.name, version=bundle.manifest.version),
            )
            return None
        if found is not None:
            self._loaded[bundle.digest] = found
        return found


class Compared:
    """The images of one stream."""

    def __init__(self, fit_images: FitImages, hold: Hold) -> None:
        """
        Args:
            hold: the stream's hold, for the digests; the caller ends it.
        """
        self._fit_images = fit_images
        self._hold = hold
        self._digests: dict[str, FitDigests | None] = {}
        self._loading = asyncio.Lock()
        self._images = self._among = 0

    def load(self, bundle: Bundle, images: Images) -> Callable[[Hold], Awaitable[np.ndarray]]:
        """A function that loads these images, and compares them with this bundle's fit split."""

        async def load(hold: Hold) -> np.ndarray:
            pixels = await images.load(hold)
            await self._compare(bundle, pixels)
            return pixels

        return load

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The counts for the end of the stream; empty if too few images were compared."""
        return ((COMPARED, str(self._images)), (AMONG, str(self._among))) if self._images >= FEWEST else ()

    async def _compare(self, bundle: Bundle, pixels: np.ndarray) -> None:
        async with self._loading:
            if bundle.digest not in self._digests:
                self._digests[bundle.digest] = await self._fit_images.digests(bundle, self._hold)
        if (digests := self._digests[bundle.digest]) is None:
            return
        at_once = pixels.nbytes <= AT_ONCE_BYTES
        among = digests.count(pixels) if at_once else await asyncio.to_thread(digests.count, pixels)
        self._images += len(pixels)
        self._among += among
