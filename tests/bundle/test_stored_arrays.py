import io
import zipfile

import numpy as np
import pytest

from vouch.bundle.answers import ANSWERS
from vouch.bundle.stored_arrays import StoredArrays


def test_images_that_cannot_be_read_a_piece_at_a_time_are_refused() -> None:
    """Columns before rows: the whole array would have to be in memory, and it may be said to have 16 GiB."""
    images, file = io.BytesIO(), io.BytesIO()
    np.save(images, np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", images.getvalue())
        archive.writestr(ANSWERS, "")

    with pytest.raises(ValueError, match="not in row-major order"):
        StoredArrays(file, (3, 4))
