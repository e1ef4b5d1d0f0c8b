"""What images are asked to become. Loads no image library, so that settings can be read without one."""

from dataclasses import dataclass
from typing import Literal

from vouch.bundle.pixel_settings import ALL_BITS, WHITE, Fit

Layout = Literal["nchw", "nhwc"]
"""Order of the axes of images with channels."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; the rest follows from what the images are."""

    size: tuple[int, int] | None = None
    """Height and width to resize to; None: the images have one size."""
    channels: int = 0
    """1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha; 0: grey where all images are, else colour."""
    bits: int = ALL_BITS
    """How many of 16 bits the samples of 16-bit files hold."""
    ground: str = WHITE
    """#rrggbb: what transparent parts lie on."""
    layout: Layout | None = None
    """Of arrays and of tables of pixels; None: as their lengths say."""
    memory: int | None = None
    """Bytes that reading and all that follows may take; None: what is available."""
    fit: Fit = "stretch"
    """How pictures of other proportions fill the size."""


NOTHING = Wanted()
