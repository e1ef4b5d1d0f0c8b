"""Reads a backbone's file, with the weights that it stores in other files; nothing is run.

torch.onnx.export writes `net.onnx` and `net.onnx.data` by default. The first file names the others. It may come from an
untrusted source, and the data is published, so only files in its folder whose names begin with its own are read.
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
    """A file's graph, not checked yet, including all weights."""

    model: ModelProto
    names: tuple[str, ...]
    """Names of the file and of its weight files, without their folder."""
    sha256: str
    """Of their concatenated contents."""


def read_whole(path: Path) -> WholeFile:
    """Reads a file and its weight files.

    Raises:
        TrainError: it is not an ONNX file, cannot be read, has weights in files that are not its own, or is too large
            for an ONNX file.
    """
    content = _content(path)
    try:
        model = onnx.load_model_from_string(content)
    except Exception as err:  # protobuf's exceptions
        raise TrainError(f"{path.name} is not an ONNX file") from err
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
        return plain_files.read_file(Path(os.path.realpath(path)), MAX_BYTES)  # follows links
    except OSError as err:
        raise TrainError(f"the backbone {path} cannot be read: {err.strerror}") from err
    except InvalidBundle as err:
        raise TrainError(
            f"the backbone {path} cannot be read: expected an ONNX file of at most {MAX_BYTES:,} bytes"
        ) from err


def _own(path: Path, location: str) -> Path:
    """The path of a weight file. Raises TrainError: it may not belong to this file."""
    if "/" in location or "\\" in location or not location.startswith(path.stem):
        raise TrainError(
            f"{path.name} has data in another file, {location[:200]!r}; only files in its folder whose names begin "
            f"with {path.stem} are read: make it one file, with external_data=False of torch.onnx.export, or with "
            "onnx.save(onnx.load(FILE), OTHER)"
        )
    return path.with_name(location)


def _fill(tensors: Sequence[TensorProto], data: bytes, most: int, name: str) -> int:
    """Puts their part of the data into tensors; returns the number of bytes."""
    taken = 0
    for tensor in tensors:
        offset, length = (_number(tensor, key, name) for key in ("offset", "length"))
        stop = len(data) if length is None else (offset or 0) + length
        taken += max(0, stop - (offset or 0))
        if stop > len(data) or taken > most:
            raise TrainError(
                f"{name} states that {tensor.name[:200]!r} is in bytes {offset or 0:,} to {stop:,} of its data file, "
                f"which has {len(data):,}: it may be another file, or incomplete. A backbone has at most "
                f"{MAX_BYTES:,} bytes in all"
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
    """A value of a tensor's location in another file; empty if not stated."""
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")
