"""The user's settings for decoding images. Loads no image library, so that settings load fast."""

from dataclasses import dataclass
from typing import Literal

from vouch.bundle.pixel_settings import ALL_BITS, WHITE, Fit

Layout = Literal["nchw", "nhwc"]
"""Order of the axes of images with channels."""


@dataclass(frozen=True)
class Wanted:
    """The user's settings; the rest follows from the images."""

    size: tuple[int, int] | None = None
    """Height and width to resize to; None: the images have one size."""
    channels: int = 0
    """1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha; 0: grey where all images are, else colour."""
    bits: int = ALL_BITS
    """The number of used bits in the samples of 16-bit files."""
    ground: str = WHITE
    """#rrggbb: the colour behind transparent parts."""
    layout: Layout | None = None
    """For arrays and tables of pixels; None: found from the lengths of axes."""
    memory: int | None = None
    """Memory limit in bytes for reading and all that follows; None: the available memory."""
    fit: Fit = "stretch"
    """How pictures of other proportions are fitted to the size."""


NOTHING = Wanted()
