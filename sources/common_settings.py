"""How all images of a folder are decoded, from their headers and what the user wants. Reads no file."""

from collections.abc import Collection

from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.errors import SourceError
from vouch.sources.headers import Headers
from vouch.sources.wanted import Wanted


def common_settings(folder: object, headers: Headers, wanted: Wanted) -> PixelSettings:
    """How images with these headers are decoded.

    Args:
        folder: the name of the source in messages.

    Raises:
        SourceError: they differ in size, and no size is set.
    """
    if wanted.size is None and not headers.one_size:
        raise SourceError(f"the images in {folder} {differing_sizes(headers.sizes)}")
    height, width = wanted.size or next(iter(headers.sizes))
    channels = wanted.channels or (3 if headers.colour else 1)
    return PixelSettings(
        height=height,
        width=width,
        channels=None if channels == 1 else channels,
        bits=wanted.bits,
        ground=wanted.ground,
        fit=wanted.fit,
    )


def differing_sizes(sizes: Collection[tuple[int, int]]) -> str:
    """The end of a message: the images differ in size, and what to do.

    Args:
        sizes: two or more heights and widths of the upright pictures.
    """
    found = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:3])
    more = ", ..." if len(sizes) > 3 else ""
    side = sorted(map(max, sizes))[len(sizes) // 2]  # a single image of 1 x 1 does not count
    across = any((width, height) in sizes for height, width in sizes if height != width)
    turned = "; some are as high as others are wide: rotate them, or make all of them square" if across else ""
    return (
        f"differ in size ({found}{more}){turned}; pass --size HxW for all, such as --size {min(side, 224)}, and --fit "
        "stretch, crop or pad for images of another shape"
    )
