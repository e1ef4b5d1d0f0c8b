"""What became of pictures whose proportions are not those of the model's image, in words."""

from vouch.bundle.pixel_settings import Fit, PixelSettings
from vouch.bundle.placement import placement
from vouch.sources.examples import Source

DONE: dict[Fit, str] = {
    "stretch": "they are stretched (--fit crop for their middle alone, --fit pad for all of it on the ground)",
    "crop": "their middle is taken{kept} (--fit pad for all of it on the ground, --fit stretch)",
    "pad": "they lie whole on the ground (--fit crop for their middle alone, --fit stretch)",
}


def other_proportions(source: Source, fit: Fit) -> tuple[str, ...]:
    """How many files have other proportions than what they became, by a pixel or more, and what was done to them."""
    if source.headers is None:
        return ()
    height, width = next(iter(source.splits.values())).images.shape[1:3]
    cropped = PixelSettings(height=height, width=width, fit="crop")
    sizes = source.headers.sizes
    count = sum(files for (h, w), files in sizes.items() if placement(w, h, cropped).part_size != (w, h))
    if not count:
        return ()
    kept = f", {source.headers.kept_by_crop((height, width)):.0%} of a typical one"
    has = "has" if count == 1 else "have"
    done = DONE[fit].format(kept=kept)
    return (f"{count:,} of {sum(sizes.values()):,} files {has} other proportions than {height} x {width}: {done}",)
