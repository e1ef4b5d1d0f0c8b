"""Different files that became the same pixels, and why: the model cannot distinguish them. Reads no file."""

from dataclasses import dataclass

import numpy as np

from vouch.sources.examples import Source
from vouch.sources.labels import shape_text

SHOWN = 5
"""At most this many classes are named, those with the most such files first."""


@dataclass(frozen=True, eq=False)
class EqualFiles:
    """The files of a source, with their origins."""

    classes: tuple[str, ...]
    origins: np.ndarray
    """Every image's origin, dtype `ORIGIN`, shape (N,)."""
    labels: np.ndarray
    """bool, shape (N, K), or int64, shape (N,)."""
    equal: np.ndarray
    """bool, shape (N,): whether another file has the same pixels."""
    sizes: frozenset[tuple[int, int]]
    """Different heights and widths of the files."""
    shape: tuple[int, ...]
    """Shape of a decoded image."""

    @classmethod
    def of(cls, source: Source) -> "EqualFiles | None":
        """The files of all splits together; None if images do not come from files."""
        parts = list(source.splits.values())
        origins = [part.origins for part in parts if part.origins is not None]
        if len(origins) < len(parts):
            return None
        joined, labels = np.concatenate(origins), np.concatenate([part.labels for part in parts])
        shape = parts[0].images.shape[1:]
        sizes = frozenset(source.headers.sizes) if source.headers else frozenset()
        return cls(source.classes, joined, labels, _share_pixels(joined), sizes, shape)

    def sentence(self) -> str:
        """How many files of which classes became equal, and why; empty if none did."""
        if not self.equal.any():
            return ""
        files, images = self._count(self.equal)
        total = len(np.unique(self.origins["file"]))
        by_class = [(self._count(self._of_class(k) & self.equal)[0], name) for k, name in enumerate(self.classes)]
        listed = sorted((one for one in by_class if one[0]), key=lambda one: -one[0])
        shown = ", ".join(f"{name} {count:,}" for count, name in listed[:SHOWN]) + ", ..." * (len(listed) > SHOWN)
        why = self.reason(self.origins[self.equal])
        became = f"became {_pictures(images)} through decoding" if why else f"contain the same {_pictures(images)}"
        return f"{files:,} of {total:,} different files {became} ({shown}){': ' * bool(why)}{why}"

    def of_class(self, k: int) -> str:
        """The same for one class; empty if all its files still differ."""
        chosen = self._of_class(k)
        files, images = self._count(chosen)
        if files == images:
            return ""
        why = self.reason(self.origins[chosen & self.equal])
        became = f"became {_pictures(images)} through decoding" if why else f"contain only {_pictures(images)}"
        return f"its {files:,} different files {became}{': ' * bool(why)}{why}"

    def reason(self, origins: np.ndarray) -> str:
        """Why files with these origins may have the same pixels; empty if their pictures are equal."""
        height, width = self.shape[:2]
        reasons: list[str] = []
        if origins["deep"].any():
            deep = origins[origins["deep"]]
            high, full = int(deep["highest"].max()), int(deep["full"].max())
            bits = max(8, high.bit_length())
            remedy = f"pass --bits {bits}" if 2**bits - 1 < full else "they differ only in the lower bits"
            reasons.append(f"their 16-bit samples end at {high:,} of {full:,} and 8 bits are kept; {remedy}")
        if origins["transparent"].any():
            reasons.append("transparent parts are filled with one colour; pass another --ground, or --channels 4")
        larger = [size for size in self.sizes if size[0] > height or size[1] > width]
        if larger:
            reasons.append(
                f"they were reduced to {shape_text((height, width))} pixels, from up to {shape_text(max(larger))}; "
                "pass a larger --size"
            )
        return "; or ".join(reasons)

    def _of_class(self, k: int) -> np.ndarray:
        return np.asarray(self.labels[:, k] if self.labels.ndim == 2 else self.labels == k)

    def _count(self, rows: np.ndarray) -> tuple[int, int]:
        """The numbers of different files and of different pixels."""
        return len(np.unique(self.origins["file"][rows])), len(np.unique(self.origins["pixels"][rows]))


def _share_pixels(origins: np.ndarray) -> np.ndarray:
    """Whether each image has the same pixels as another file."""
    _, of_file = np.unique(origins["file"], return_index=True)
    pixels, count = np.unique(origins["pixels"][of_file], return_counts=True)
    return np.isin(origins["pixels"], pixels[count > 1]) & (origins["file"] > 0)


def _pictures(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"
