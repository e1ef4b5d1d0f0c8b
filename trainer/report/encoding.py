"""Pictures as data URIs: PNG if every pixel matters, JPEG of bounded size for photographs."""

import base64
import io

from PIL import Image

SMALL_SIDE = 64
"""Images with both sides up to this are shown pixel by pixel; larger ones are treated as photographs."""
QUALITIES = (80, 60, 40, 20, 10)
"""JPEG qualities on Pillow's scale. Noise of 224 x 224 takes 33 kB at 80 and 9 kB at 20."""
MAX_PHOTO_BYTES = 16_000
"""Limit for one photograph, so that a page's size depends only on the number of photographs."""


def png_uri(picture: Image.Image, **options: object) -> str:
    """The picture, pixel by pixel."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, **options)
    return _uri("png", file.getvalue())


def jpeg_uri(picture: Image.Image, most: int | None = None) -> str:
    """The picture at the best quality that fits, otherwise with half the sides.

    Args:
        picture: RGB or grey.
        most: largest size in bytes; None: no limit, with the first quality.
    """
    while True:
        for quality in QUALITIES:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=quality, optimize=True)
            content = file.getvalue()
            if most is None or len(content) <= most:
                return _uri("jpeg", content)
        if max(picture.size) < SMALL_SIDE:
            return _uri("jpeg", content)
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BOX)


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()
