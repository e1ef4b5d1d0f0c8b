"""A note on pictures whose proportions differ from those of the model's image."""

from vouch.bundle.pixel_settings import Fit, PixelSettings
from vouch.bundle.placement import placement
from vouch.sources.examples import Source

DONE: dict[Fit, str] = {
    "stretch": "stretched (other ways: --fit crop for only the middle, --fit pad for all with a margin)",
    "crop": "cropped to the middle{kept} (other ways: --fit pad for all with a margin, --fit stretch)",
    "pad": "padded with a margin (other ways: --fit crop for only the middle, --fit stretch)",
}


def other_proportions(source: Source, fit: Fit) -> tuple[str, ...]:
    """A note: how many files have other proportions than the image, by a pixel or more, and how they are fitted."""
    if source.headers is None:
        return ()
    height, width = next(iter(source.splits.values())).images.shape[1:3]
    cropped = PixelSettings(height=height, width=width, fit="crop")
    sizes = source.headers.sizes
    count = sum(files for (h, w), files in sizes.items() if placement(w, h, cropped).part_size != (w, h))
    if not count:
        return ()
    kept = f", which keeps {source.headers.kept_by_crop((height, width)):.0%} of a typical file"
    has = "has" if count == 1 else "have"
    done = DONE[fit].format(kept=kept)
    return (f"{count:,} of {sum(sizes.values()):,} files {has} other proportions than {height} x {width}: {done}",)
