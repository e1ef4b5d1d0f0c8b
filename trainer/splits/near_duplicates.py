"""Near duplicates across splits: images that are nearly the same, such as brightened, recompressed or noisy ones.

A perceptual hash of 64 bits finds candidates without comparing all pairs; their pixels decide. The hash is pHash:
the signs of the lowest 8 x 8 coefficients of the discrete cosine transform against their median (C. Zauner,
Implementation and Benchmarking of Perceptual Image Hash Functions, 2010). Hashes that differ in at most 3 of 64 bits
are equal in at least one of 4 quarters, so that sorting by quarters finds all of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vouch.sources.images import Images, batch_rows, batches
from vouch.sources.names import Names

SIDE = 8
"""Coefficients along each axis, and the fewest pixels along each axis for which a hash is computed."""
MAX_SIDE = 64
"""Of larger images only every second, third ... row and column is used."""
MAX_DISTANCE = 3
"""Differing bits: with up to 3, one quarter is still equal. A digit that is brightened, slightly noisy or compressed
as JPEG rarely differs in more."""
SAME = 0.99
"""Images whose pixels correlate by at least this are nearly the same. Images changed as above reach it; different
digits by the same writer reach 0.98."""
TIE = 1e-4
"""A coefficient's distance from the median below this share of the length of the vector is rounding. Symmetrical images
have many coefficients of 0, and their hashes would consist of rounding errors."""
CHUNK_PIXELS = 1 << 22
"""Pixels of images, or pairs of images, that are processed at once; they stay in or near the processor's cache."""
MAX_PAIRS = 5_000_000
"""The most pairs that are compared for each quarter of the hash: about a second in all, and 300 MB at once."""
MAX_CHECKED_PIXELS = 400_000_000
"""Pixels of candidates that are compared: one or two seconds."""
QUARTERS = 4
_FREQUENCY = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
DEALT = np.argsort(_FREQUENCY, kind="stable").reshape(-1, QUARTERS).T.ravel()
"""The coefficients in the order of their bits. Low and high frequencies are spread evenly over the quarters, because
low ones are similar in many images: a quarter of only low ones would be equal in far more pairs."""


@dataclass(frozen=True, eq=False)
class Hashed:
    """Images with their hashes, or some of them."""

    images: Images
    """uint8, shape (N, H, W) or (N, H, W, C): all of them."""
    rows: np.ndarray
    """Positions of the images that have a hash, ascending; an image of one colour has none."""
    hashes: np.ndarray
    """uint64, one for each of `rows`."""

    @classmethod
    def of(cls, images: Images) -> "Hashed":
        """The hashes of these images; images smaller than 8 x 8 have none."""
        if min(images.shape[1:3]) < SIDE or len(images) == 0:
            return cls(images, np.array([], dtype=np.int64), np.array([], dtype=np.uint64))
        hashes, structured = zip(*map(_hashes, batches(images, CHUNK_PIXELS)), strict=True)
        rows = np.flatnonzero(np.concatenate(structured))
        return cls(images, rows, np.concatenate(hashes)[rows])

    def only(self, rows: np.ndarray | slice) -> "Hashed":
        """Only the images at these positions; they keep their positions.

        Args:
            rows: positions in `images`, or a slice of them.
        """
        wanted = np.zeros(len(self.images), dtype=np.bool_)
        wanted[rows] = True
        kept = wanted[self.rows]
        return Hashed(self.images, self.rows[kept], self.hashes[kept])


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Pairs of images that are nearly, but not exactly, the same."""

    pairs: np.ndarray
    """int64, shape (P, 2): positions in the first and in the second images, sorted."""
    complete: bool
    """False if there were too many candidates to compare all."""

    def sentence(self, first: str, total: int, second: str, names: tuple[Names, Names]) -> str:
        """How many of the `total` images of `first` are nearly the same as one in `second`, with a few examples.

        Args:
            names: of all images to whose positions the pairs refer.
        """
        different, at = np.unique(self.pairs[:, 0], return_index=True)
        examples = "; ".join(f"{names[0][a]} like {names[1][b]}" for a, b in self.pairs[at[:3]].tolist())
        more = "; ..." if len(different) > 3 else ""
        found = f"{'' if self.complete else 'at least '}{len(different):,} of {total:,} {first} images"
        return f"{found} {'is' if len(different) == 1 else 'are'} nearly the same as one in {second} ({examples}{more})"


def near_duplicates(
    first: Hashed, second: Hashed, max_pairs: int = MAX_PAIRS, max_checked_pixels: int = MAX_CHECKED_PIXELS
) -> NearDuplicates:
    """All pairs whose pixels correlate by 0.99 or more and whose hashes differ in at most 3 bits.

    Args:
        first: images of the same shape as those of second.
        max_pairs: for each quarter of the hash, the most pairs with this quarter equal that are compared.
        max_checked_pixels: the most pixels of candidates that are compared.
    """
    candidates, complete = _candidates(first, second, max_pairs)
    limit = max(1, max_checked_pixels // math.prod(first.images.shape[1:]))
    complete &= len(candidates) <= limit
    candidates = candidates[:limit]
    same = np.zeros(len(candidates), dtype=np.bool_)
    step = batch_rows(first.images.shape[1:], CHUNK_PIXELS)
    for part in (slice(start, start + step) for start in range(0, len(candidates), step)):
        a, b = candidates[part].T
        same[part] = _are_nearly_same(first.images, a, second.images, b)
    pairs = candidates[same]
    return NearDuplicates(pairs[np.lexsort(pairs.T[::-1])], complete)


def _hashes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of these images, uint64, and which of them have more than one brightness."""
    grey = _sampled(images)
    if grey.ndim == 4:
        grey = grey.mean(axis=3)
    basis = np.kron(_cosines(grey.shape[1]), _cosines(grey.shape[2]))[DEALT]
    flat = grey.reshape(len(grey), -1)
    coefficients = flat @ basis.T
    above = coefficients - np.median(coefficients, axis=1, keepdims=True)
    bits = above > TIE * np.linalg.norm(coefficients, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).ravel(), np.ptp(flat, axis=1) > 0


def _cosines(pixels: int) -> np.ndarray:
    """The first rows of the discrete cosine transform (type II, not scaled), float32, shape (8, pixels)."""
    return np.cos(np.pi * np.outer(np.arange(SIDE), np.arange(pixels) + 0.5) / pixels).astype(np.float32)


def _sampled(images: np.ndarray) -> np.ndarray:
    """At most 64 x 64 pixels of each image, float32, shape (N, H, W) or (N, H, W, C)."""
    rows, columns = _steps(images.shape[1:])
    return images[:, ::rows, ::columns].astype(np.float32)


def _candidates(first: Hashed, second: Hashed, max_pairs: int) -> tuple[np.ndarray, bool]:
    """Pairs of positions with similar hashes, the nearest first; and whether these are all."""
    counts = len(first.hashes), len(second.hashes)
    found: list[np.ndarray] = []
    complete = True
    for quarter in range(QUARTERS):
        a, b, all_of_them = _with_equal_quarter(first.hashes, second.hashes, quarter, max_pairs)
        distance = np.bitwise_count(first.hashes[a] ^ second.hashes[b])
        near = distance <= MAX_DISTANCE
        found.append(coded(distance[near], a[near], b[near], counts))
        complete &= all_of_them
    a, b = pairs_of(found, counts)
    return np.stack([first.rows[a], second.rows[b]], axis=1), complete


def coded(distance: np.ndarray, a: np.ndarray, b: np.ndarray, counts: tuple[int, int]) -> np.ndarray:
    """Encodes each pair as one number, int64, ordered by distance, then `a`, then `b`.

    Args:
        counts: a is below the first, b below the second.
    """
    return np.asarray((distance.astype(np.int64) * counts[0] + a) * counts[1] + b)


def pairs_of(found: Sequence[np.ndarray], counts: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of such numbers in ascending order, each once. Sorting rows instead would take 100 times as long."""
    codes = np.concatenate(found)
    codes.sort()
    codes = codes[np.diff(codes, prepend=-1) > 0] % max(1, counts[0] * counts[1])
    return codes // max(1, counts[1]), codes % max(1, counts[1])


def _with_equal_quarter(
    first: np.ndarray, second: np.ndarray, quarter: int, max_pairs: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Positions in first and second whose hashes have this quarter equal; and whether these are all."""
    sought, keys = (hashes.view(np.uint16).reshape(-1, QUARTERS)[:, quarter] for hashes in (first, second))
    order = np.argsort(keys, kind="stable")
    starts = np.searchsorted(keys[order], np.arange(1 << 16))
    counts = np.bincount(keys, minlength=1 << 16)[sought]
    fits = np.cumsum(counts) <= max_pairs
    counts = np.where(fits, counts, 0)
    a = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts)
    return a, order[np.repeat(starts[sought], counts) + within], bool(fits.all())


def _are_nearly_same(first: Images, a: np.ndarray, second: Images, b: np.ndarray) -> np.ndarray:
    """Whether each image correlates with its partner but is not equal to it: bool; arguments as `correlation`."""
    equal = (first[a] == second[b]).all(axis=tuple(range(1, first.ndim)))
    near: np.ndarray = (correlation(first, a, second, b) >= SAME) & ~equal
    return near


def correlation(first: Images, a: np.ndarray, second: Images, b: np.ndarray) -> np.ndarray:
    """The correlation of the pixels of each pair, over all channels: float32, shape (P,), up to 1.

    Args:
        a, b: positions in first and in second, shape (P,).
    """
    x, y = _centred(first, a), _centred(second, b)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    alike: np.ndarray = (x * y).sum(axis=1) / np.maximum(lengths, 1e-9)
    return alike


def _centred(images: Images, rows: np.ndarray) -> np.ndarray:
    """Sampled pixels of these images, minus the mean of their image and channel, shape (P, pixels)."""
    if isinstance(images, np.ndarray):
        down, across = _steps(images.shape[1:])
        sampled = images[:, ::down, ::across][rows].astype(np.float32)
    else:
        sampled = _sampled(images[rows])
    sampled -= sampled.mean(axis=(1, 2), keepdims=True)
    return np.asarray(sampled.reshape(len(rows), -1))


def sampled_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the sampled pixels of an image of this shape."""
    down, across = _steps(shape)
    return (-(-shape[0] // down), -(-shape[1] // across), *shape[2:])


def _steps(shape: tuple[int, ...]) -> tuple[int, int]:
    """The steps between sampled rows and between sampled columns."""
    return -(-shape[0] // MAX_SIDE), -(-shape[1] // MAX_SIDE)
