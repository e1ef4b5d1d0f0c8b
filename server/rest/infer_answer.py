"""Open Inference over HTTP: writes the answer of ModelInfer as JSON, with or without binary tensors after it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from vouch.protos.inference import inference_pb2 as pb
from vouch.server.rest.content import JSON, Content
from vouch.server.rest.headers import HEADER_LENGTH

BINARY_TYPE = "application/octet-stream"
FLOATS, LENGTH_BYTES = "FP32", 4
PIECE = 1 << 15
"""Values written at a time; other threads can run in between."""


def written(message: bytes, binaries: Mapping[str, bool], binary: bool) -> Content:
    """Writes a serialized ModelInferResponse whose tensors are raw.

    Args:
        binaries: output -> whether its answer is binary; `binary` for those not named.
    """
    answer = pb.ModelInferResponse.FromString(message)
    outputs, tails = list[dict[str, Any]](), list[bytes]()
    for tensor, content in zip(answer.outputs, answer.raw_output_contents, strict=True):
        said: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binaries.get(tensor.name, binary):
            said["parameters"] = {"binary_data_size": len(content)}
            tails.append(content)
        else:
            said["data"] = _floats(content) if tensor.datatype == FLOATS else _texts(content)
        outputs.append(said)
    head: dict[str, Any] = {"model_name": answer.model_name, "model_version": answer.model_version}
    if answer.id:
        head["id"] = answer.id
    text = orjson.dumps({**head, "outputs": outputs})
    if not tails:
        return Content(text, JSON)
    return Content(b"".join((text, *tails)), BINARY_TYPE, headers=((HEADER_LENGTH.name, str(len(text))),))


def _floats(content: bytes) -> list[float] | orjson.Fragment:
    values = np.frombuffer(content, "<f4")
    if len(values) <= PIECE:
        floats: list[float] = values.tolist()
        return floats
    pieces = (orjson.dumps(values[at : at + PIECE].tolist())[1:-1] for at in range(0, len(values), PIECE))
    return orjson.Fragment(b"[" + b",".join(pieces) + b"]")


def _texts(content: bytes) -> list[str]:
    """The elements of a raw BYTES tensor, each preceded by its length."""
    found, at = list[str](), 0
    while at < len(content):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(content[at:start], "little")
        found.append(content[start:at].decode())
    return found
