"""Facts about image files that are lost in their pixels: range of samples, transparency, and which files differ.

They show whether a model can learn the classes. They are compared class by class: if classes differ in scale, a model
can distinguish them by the scale only. Reads no file.
"""

from hashlib import blake2b

import numpy as np

from vouch.bundle.pixel_settings import ALL_BITS
from vouch.bundle.pixels import Decoded
from vouch.sources.equal_files import EqualFiles
from vouch.sources.examples import Source
from vouch.sources.images import Images, batches
from vouch.sources.wanted import Wanted

ORIGIN = np.dtype(
    [
        ("lowest", np.uint16),
        ("highest", np.uint16),
        ("full", np.uint16),
        ("deep", np.bool_),
        ("transparent", np.bool_),
        ("file", np.uint64),
        ("pixels", np.uint64),
    ]
)
"""Facts about one image: the range of its samples, their possible maximum, whether they have 16 bits, whether any part
is transparent, and hashes of its file and of its pixels; 0 if it has no file of its own."""
Origin = tuple[int, int, int, bool, bool, int, int]
MOST = (("lowest", 0.1), ("highest", 0.9))
"""Share of images that a warning is based on: a few with dead pixels do not count."""
PART = 4
"""A warning appears if samples use less than a quarter of their possible range."""
BITS_APART = 2
"""Classes whose highest samples differ by this many bits may differ in scale."""
NEARLY_ALL = 0.95
"""Share of a class's files that must have one depth: a few other files do not hide it."""
SHOWN = 3
"""A warning names this many classes, beside the one with the largest range."""


def origin_of(encoded: bytes, decoded: Decoded, bits: int) -> Origin:
    """A file's facts, as a record of `ORIGIN`."""
    low, high = decoded.depth or (int(decoded.pixels.min()), int(decoded.pixels.max()))
    full = 2**bits - 1 if decoded.depth else 255
    file, pixels = _hash(encoded), _hash(decoded.pixels.tobytes())
    return low, high, full, decoded.depth is not None, decoded.transparent, file, pixels


def _hash(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest())


def origins_of_arrays(images: Images) -> np.ndarray:
    """The same for images from arrays, which have no files, shape (N,)."""
    origins = np.zeros(len(images), ORIGIN)
    origins["full"] = 255
    done = 0
    for batch in batches(images):
        flat = batch.reshape(len(batch), -1)
        origins["lowest"][done : done + len(batch)] = flat.min(axis=1)
        origins["highest"][done : done + len(batch)] = flat.max(axis=1)
        done += len(batch)
    return origins


def decoding_warnings(source: Source) -> tuple[str, ...]:
    """Warnings about what a model may learn or miss because of how the images are stored, a sentence each."""
    parts = list(source.splits.values())
    origins = np.concatenate(
        [part.origins if part.origins is not None else origins_of_arrays(part.images) for part in parts]
    )
    if not len(origins):
        return ()
    labels = np.concatenate([part.labels for part in parts])
    rows, classes = labels.nonzero() if labels.ndim == 2 else (np.arange(len(labels)), labels)
    deep, of_classes = origins["deep"], (origins[rows], classes, source.classes)
    return (
        *_narrow(origins[deep]),
        *_narrow(origins[~deep]),
        *(_scales_apart(*of_classes) or _ranges_apart(*of_classes)),
        *_depths_apart(deep[rows], classes, source.classes),
        *_became_equal(source),
    )


def transparency(source: Source, wanted: Wanted) -> tuple[str, ...]:
    """A note on how transparent images are decoded, if there are any."""
    parts = [part.origins for part in source.splits.values() if part.origins is not None]
    count = sum(int(part["transparent"].sum()) for part in parts)
    if not count:
        return ()
    images = f"{count:,} of {sum(map(len, parts)):,} images {'has' if count == 1 else 'have'} transparent parts"
    if wanted.channels in (2, 4):
        return (f"{images}: alpha is a separate channel",)
    grey = all(part.images.ndim == 3 for part in source.splits.values())
    return (
        f"{images}: filled with {wanted.ground} (--ground for another, --channels {2 if grey else 4} for alpha as a "
        "channel)",
    )


def bits_without_effect(source: Source, wanted: Wanted) -> tuple[str, ...]:
    """A warning if --bits is set but no file has 16 bits."""
    parts = [part.origins for part in source.splits.values() if part.origins is not None]
    if wanted.bits == ALL_BITS or any(part["deep"].any() for part in parts):
        return ()
    return (f"--bits {wanted.bits} has no effect: none of the files has samples of 16 bits",)


def _narrow(origins: np.ndarray) -> tuple[str, ...]:
    """A warning if images of one depth use little of its range."""
    if not len(origins):
        return ()
    low, high, full = int(origins["lowest"].min()), int(origins["highest"].max()), int(origins["full"][0])
    besides = ""
    if (high - low) * PART >= full:  # over all images, including dead pixels or markers in a few
        top = high
        low, high = (int(np.quantile(origins[end], share, method="nearest")) for end, share in MOST)
        if (high - low) * PART >= full:
            return ()
        beyond = int((origins["highest"] > high).sum())
        besides = f"; {beyond:,} of them reach further, up to {top:,}: look for dead pixels and markers there first"
    deep = bool(origins["deep"][0])
    images = f"the {len(origins):,} {'16-bit files' if deep else 'images of 8 bits'}"
    needed = max(8, high.bit_length())
    if deep and 2**needed - 1 < full:
        remedy = f"if they hold {needed} bits, pass --bits {needed}"
        dark = ", so they become nearly black"
    else:
        remedy = f"scale them to 0 to {full:,} when the files are written, for training and for callers"
        dark = ""
    return (f"the samples of {images} go from {low:,} to {high:,}, of 0 to {full:,}{dark}: {remedy}{besides}",)


def _scales_apart(origins: np.ndarray, classes: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    """A warning if a class's range ends far below another's: at its highest sample, or in its median image, so that a
    dead pixel in one image hides nothing.

    Args:
        origins: an image's origin, once for each of its classes.
        classes: positions of these classes.
    """
    share = origins["highest"] / origins["full"] if len(origins) else np.zeros(0)
    order = np.lexsort((share, classes))
    for place, where in ((1.0, ""), (0.5, " in most images")):
        ends = _ends(order, classes, place)
        ends = ends[np.argsort(share[ends], kind="stable")]
        bits = [int(share[row] * (2**16 - 1)).bit_length() for row in (ends[[0, -1]] if len(ends) else ())]
        if not bits or bits[1] - bits[0] < BITS_APART:
            continue
        shown = dict.fromkeys([*ends[:SHOWN].tolist(), int(ends[-1])])
        ranges = ", ".join(f"{names[classes[row]]} at {_end(origins[row])}" for row in shown)
        return (
            f"the highest samples of the classes differ greatly{where}: {ranges}. If this comes from how the files "
            "were written, the scale alone shows the class; bring all files to one scale",
        )
    return ()


def _ranges_apart(origins: np.ndarray, classes: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    """A warning if the lowest samples of nearly all images of a class are above the highest of nearly all of another.

    Args:
        origins, classes: as `_scales_apart`.
    """
    if not len(origins):
        return ()
    (low, low_share), (high, high_share) = ((origins[end] / origins["full"], share) for end, share in MOST)
    lows, highs = (np.lexsort((ends, classes)) for ends in (low, high))
    above = max(_ends(lows, classes, low_share), key=low.__getitem__)
    below = min(_ends(highs, classes, high_share), key=high.__getitem__)
    if low[above] <= high[below]:
        return ()
    upper, lower = names[classes[above]], names[classes[below]]
    return (
        f"nearly all images of class {upper} have no sample below {low[above]:.0%} of the possible range, and those of "
        f"{lower} none above {high[below]:.0%}: if this comes from how the files were written, the "
        "offset alone shows the class; bring all files to one scale",
    )


def _ends(order: np.ndarray, classes: np.ndarray, place: float) -> np.ndarray:
    """A row for each existing class: the quantile, 0 to 1, of the class's sorted rows."""
    if not len(order):
        return order
    _, starts, counts = np.unique(classes[order], return_index=True, return_counts=True)
    rows: np.ndarray = order[starts + ((counts - 1) * place).astype(int)]
    return rows


def _end(origin: np.void) -> str:
    return f"{int(origin['highest']):,} of {int(origin['full']):,} ({16 if origin['deep'] else 8}-bit)"


def _depths_apart(deep: np.ndarray, classes: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    """A warning if nearly all files of one class have 16 bits and nearly all of another have 8."""
    images = np.bincount(classes, minlength=len(names))
    share = np.bincount(classes[deep], minlength=len(names)) / np.maximum(images, 1)
    mostly = np.flatnonzero((share >= NEARLY_ALL) & (images > 0))
    hardly = np.flatnonzero((share <= 1 - NEARLY_ALL) & (images > 0))
    if not (len(mostly) and len(hardly)):
        return ()
    some = "all" if share[mostly[0]] == 1 and share[hardly[0]] == 0 else "nearly all"
    return (
        f"{some} files of class {names[mostly[0]]} have 16 bits and {some} of class {names[hardly[0]]} have 8: the "
        "depth alone may show the class; write all files with one depth",
    )


def _became_equal(source: Source) -> tuple[str, ...]:
    """A warning if different files have the same pixels."""
    equal = EqualFiles.of(source)
    return tuple(filter(None, [equal.sentence()])) if equal else ()
