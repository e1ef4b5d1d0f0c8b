"""The same picture as a file without metadata: no position, no names, no texts, no preview.

Nothing is encoded again, so the pixels are equal for all decoding settings.
"""

from vouch.bundle.image_parts import image_parts
from vouch.bundle.images import jpeg, png, webp
from vouch.bundle.images.orientation import TURNED

WITH_ORIENTATION = {"PNG": png.with_orientation, "JPEG": jpeg.with_orientation, "WEBP": webp.with_orientation}


def without_metadata(encoded: bytes) -> bytes:
    """The parts of a PNG, JPEG or WebP file that decoding reads, as a file of the same kind.

    A rotated or mirrored picture keeps an EXIF block with only its orientation.

    Raises:
        InvalidImage: as `image_parts`.
    """
    parts = image_parts(encoded)
    if parts.orientation not in TURNED:
        return parts.encoded
    return WITH_ORIENTATION[parts.kind](parts.encoded, parts.orientation)
