import io

import numpy as np
import pytest
from PIL import Image

from vouch.server.page.png import png


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_a_file_holds_the_very_pixels(channels: int | None) -> None:
    """Grey or colour, with or without alpha; read by another library."""
    shape = (5, 7) + ((channels,) if channels else ())
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    read = np.asarray(Image.open(io.BytesIO(png(image))))

    assert np.array_equal(read, image[..., 0] if channels == 1 else image)
