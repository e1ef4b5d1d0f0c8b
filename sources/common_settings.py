"""What all images of a folder become, from what they hold and what is wanted. Reads nothing."""

from collections.abc import Collection

from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.errors import SourceError
from vouch.sources.headers import Headers
from vouch.sources.wanted import Wanted


def common_settings(folder: object, headers: Headers, wanted: Wanted) -> PixelSettings:
    """What images with these headers become.

    Args:
        folder: what a message calls them all.

    Raises:
        SourceError: they differ in size and none is given.
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
    """That they differ, and what can be done about it.

    Args:
        sizes: heights and widths as they are upright, two or more.
    """
    found = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:3])
    more = ", ..." if len(sizes) > 3 else ""
    side = sorted(map(max, sizes))[len(sizes) // 2]  # a stray one of 1 x 1 says nothing of the others
    across = any((width, height) in sizes for height, width in sizes if height != width)
    turned = "; some are as high as others are wide: turn them, or make all of them square" if across else ""
    return (
        f"differ in size ({found}{more}){turned}; pass --size HxW for all, such as --size {min(side, 224)}, and --fit "
        "stretch, crop or pad for those of another shape"
    )
