"""Images and labels as numpy arrays in one .npz file. Runs nothing that the file brings with it (no pickle)."""

from pathlib import Path

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.labels import make_source
from vouch.sources.split_names import SplitName

PREFIXES: dict[str, SplitName] = {"": "all", "fit_": "fit", "tune_": "tune", "validation_": "validation"}
KEYS = [prefix + kind for prefix in PREFIXES for kind in ("images", "labels")]
EXPECTED = "images and labels, or fit_images, fit_labels, validation_images and validation_labels (tune_... as well)"


def read_npz(name: str, path: Path) -> Source:
    """The source in an .npz file: `images` and `labels`, or these for each split, such as `fit_images`, `fit_labels`.

    Raises:
        SourceError: not such a file, an array missing, or arrays that `make_source` refuses.
    """
    arrays = _read_arrays(path)
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {}
    for prefix, split in PREFIXES.items():
        pair = f"{prefix}images", f"{prefix}labels"
        missing = [key for key in pair if key not in arrays]
        if len(missing) == 1:
            there = pair[0] if missing == [pair[1]] else pair[1]
            raise SourceError(f"{path} has {there} but no {missing[0]}; expected {EXPECTED}")
        if not missing:
            parts[split] = arrays[pair[0]], arrays[pair[1]]
    if "all" in parts and len(parts) > 1:
        splits = ", ".join(list(parts)[1:])
        raise SourceError(f"{path} has images of no split beside those of {splits}; expected {EXPECTED}, not both")
    return make_source(name, parts)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Those of the file's arrays that have a name we know, at least one."""
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise SourceError(f"{path} is a single array (.npy), not an .npz file; expected {EXPECTED}")
            known = [key for key in content.files if key in KEYS]
            if not known:
                raise SourceError(f"{path} has {', '.join(content.files[:9]) or 'no arrays'}; expected {EXPECTED}")
            return {key: np.asarray(content[key]) for key in known}
    except SourceError:
        raise
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except Exception as err:  # numpy and zipfile raise a dozen types for broken, hostile or pickled content
        reason = "it holds Python objects" if "allow_pickle" in str(err) else str(err) or type(err).__name__
        raise SourceError(f"{path} is not an .npz file that can be read: {reason}; save it with numpy.savez") from err
