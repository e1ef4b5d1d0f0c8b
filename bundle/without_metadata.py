"""The same picture as a file that says nothing else: no position, no names, no texts, no preview.

Nothing is encoded anew, so that the pixels stay what they are, under whatever settings they are decoded.
"""

from vouch.bundle.image_parts import image_parts
from vouch.bundle.images import jpeg, png, webp
from vouch.bundle.images.orientation import TURNED

WITH_ORIENTATION = {"PNG": png.with_orientation, "JPEG": jpeg.with_orientation, "WEBP": webp.with_orientation}


def without_metadata(encoded: bytes) -> bytes:
    """What decoding reads of a PNG, JPEG or WebP file, as a file of the same kind.

    A picture that is to be turned keeps an EXIF block with its orientation alone.

    Raises:
        InvalidImage: as `image_parts`.
    """
    parts = image_parts(encoded)
    if parts.orientation not in TURNED:
        return parts.encoded
    return WITH_ORIENTATION[parts.kind](parts.encoded, parts.orientation)
