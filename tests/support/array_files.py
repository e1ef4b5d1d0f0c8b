"""Files with arrays of images and labels."""

from pathlib import Path
from typing import Any

import numpy as np

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([3, 12, 3, 5])


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez_compressed(path, **arrays)
    return path
