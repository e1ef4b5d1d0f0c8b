"""A backbone's file as it lies on the disk, with the weights that it keeps in files beside it; nothing of it is run.

torch.onnx.export writes `net.onnx` and `net.onnx.data`, unless it is told otherwise. Which files those are is said by
the first, which may come from anybody, and what is read is published: so only files of its folder whose names begin
with its own are read.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto

from vouch.bundle import plain_files
from vouch.bundle.errors import InvalidBundle
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.joined import MAX_BYTES


@dataclass(frozen=True, eq=False)
class WholeFile:
    """A file's graph, of which nothing is known yet, with all its weights in it."""

    model: ModelProto
    names: tuple[str, ...]
    """Of the file and of those beside it that were read, without their folder."""
    sha256: str
    """Of their contents, one behind the other."""


def read_whole(path: Path) -> WholeFile:
    """
    Raises:
        TrainError: it is no ONNX file, cannot be read, has weights in files that are not its own, or is larger than an
            ONNX file can be.
    """
    content = _content(path)
    try:
        model = onnx.load_model_from_string(content)
    except Exception as err:  # protobuf's own
        raise TrainError(f"{path.name} is no ONNX file") from err
    tensors = [one for one in model.graph.initializer if one.data_location == TensorProto.EXTERNAL]
    digest, left, names = hashlib.sha256(content), MAX_BYTES - len(content), [path.name]
    for location in sorted({_said(one, "location") for one in tensors}):
        data = _content(_own(path, location))
        of_file = [one for one in tensors if _said(one, "location") == location]
        left -= _fill(of_file, data, left, path.name)
        digest.update(data)
        names.append(location)
    return WholeFile(model, tuple(names), digest.hexdigest())


def _content(path: Path) -> bytes:
    try:
        return plain_files.read_file(Path(os.path.realpath(path)), MAX_BYTES)  # of a link what it leads to
    except OSError as err:
        raise TrainError(f"the backbone {path} cannot be read: {err.strerror}") from err
    except InvalidBundle as err:
        raise TrainError(
            f"the backbone {path} cannot be read: expected a file of at most {MAX_BYTES:,} bytes, as ONNX has it"
        ) from err


def _own(path: Path, location: str) -> Path:
    """The file beside this one. Raises TrainError: it may be somebody else's."""
    if "/" in location or "\\" in location or not location.startswith(path.stem):
        raise TrainError(
            f"{path.name} has data outside the file, in {location[:200]!r}; only files beside it are read whose names "
            f"begin with {path.stem}: make it one file, by external_data=False of torch.onnx.export, or by "
            "onnx.save(onnx.load(FILE), OTHER)"
        )
    return path.with_name(location)


def _fill(tensors: Sequence[TensorProto], data: bytes, most: int, name: str) -> int:
    """Puts their part of the data into tensors; how many bytes that were."""
    taken = 0
    for tensor in tensors:
        offset, length = (_number(tensor, key, name) for key in ("offset", "length"))
        stop = len(data) if length is None else (offset or 0) + length
        taken += max(0, stop - (offset or 0))
        if stop > len(data) or taken > most:
            raise TrainError(
                f"{name} says that {tensor.name[:200]!r} is in the bytes {offset or 0:,} to {stop:,} of the file "
                f"beside it, which has {len(data):,}; is that another one, or cut short? A backbone has at most "
                f"{MAX_BYTES:,} in all"
            )
        tensor.raw_data = data[offset or 0 : stop]
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return taken


def _number(tensor: TensorProto, key: str, name: str) -> int | None:
    said = _said(tensor, key)
    if said and not (said.isascii() and said.isdigit() and len(said) < 20):
        raise TrainError(f"{name} has the {key} {said[:100]!r} for {tensor.name[:200]!r}; expected a number of bytes")
    return int(said) if said else None


def _said(tensor: TensorProto, key: str) -> str:
    """What a tensor says of where it is; empty where it does not."""
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")
