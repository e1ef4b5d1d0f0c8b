"""How a server is called over HTTP/1.1: the path, the body, and how to read the answer."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from vouch.bundle.opening import Bundle

BYTES, JSON, PNG = "bytes", "JSON", "a PNG file"
"""What pixels are sent as."""
OCTETS = "application/octet-stream"
EXACT, AS_TEXT = 0.02, 0.1
"""By how much of its size a right answer may differ from another: the digits of a probability depend on the run that it
was computed in.
"""


@dataclass(frozen=True)
class Form:
    """A form of requests and answers."""

    takes: str
    path: str
    body: Callable[[np.ndarray], bytes]
    """From raw pixels: uint8, shape (N, H, W) or (N, H, W, C)."""
    probabilities: Callable[[bytes], np.ndarray]
    """Of an answer: float32, those of all images in a row. A class that the answer does not name has 0."""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": OCTETS})
    varies: float = EXACT
    """By how much of its size an answer may differ."""


def raw(path: str) -> Form:
    """Pixels as they are, answered by the probabilities as they are."""
    return Form(BYTES, path, _bytes, partial(np.frombuffer, dtype=np.float32))


def binary_tensor(model: str, shape: Sequence[int]) -> Form:
    """Open Inference with Triton's binary tensors, for images of this shape (N, H, W) or (N, H, W, C)."""
    size = {"binary_data_size": int(np.prod(shape))}
    text = json.dumps(_request(shape, parameters=size) | {"parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": OCTETS, "inference-header-content-length": str(len(text))}
    return Form(BYTES, infer_path(model), lambda images: text + images.tobytes(), _of_binary, headers)


def json_tensor(model: str) -> Form:
    """Open Inference with numbers as JSON both ways."""

    def body(images: np.ndarray) -> bytes:
        return json.dumps(_request(images.shape, data=images.ravel().tolist())).encode()

    return Form(JSON, infer_path(model), body, _of_json, {"content-type": "application/json"}, AS_TEXT)


def png_file(model: str, labels: Sequence[str]) -> Form:
    """An image file as the body; the answer names the best classes."""

    def body(images: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(images[0]).save(file, "PNG")
        return file.getvalue()

    def probabilities(answer: bytes) -> np.ndarray:
        (prediction,) = json.loads(answer)["predictions"]
        named = {one["label"]: one["probability"] for one in prediction["labels"]}
        return np.array([named.get(label, 0) for label in labels], np.float32)

    return Form(PNG, f"/v1/models/{model}:predict", body, probabilities, {"content-type": "image/png"}, AS_TEXT)


def of_vouch(bundle: Bundle) -> list[Form]:
    """All that Vouch takes, for one image."""
    manifest = bundle.manifest
    name, shape = manifest.name, (1, *manifest.input.shape)
    return [binary_tensor(name, shape), json_tensor(name), png_file(name, manifest.labels)]


def infer_path(model: str) -> str:
    """Of Open Inference."""
    return f"/v2/models/{model}/infer"


def _bytes(images: np.ndarray) -> bytes:
    return images.tobytes()


def _request(shape: Sequence[int], **rest: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "images", "shape": list(shape), "datatype": "UINT8", **rest}]}


def _of_json(answer: bytes) -> np.ndarray:
    outputs = json.loads(answer)["outputs"]
    return np.array(next(one["data"] for one in outputs if one["name"] == "probabilities"), np.float32).ravel()


def _of_binary(answer: bytes) -> np.ndarray:
    """The JSON ends where its object does; the tensors follow in the order in which it names them."""
    said, at = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    for output in said["outputs"]:
        size = output["parameters"]["binary_data_size"]
        if output["name"] == "probabilities":
            return np.frombuffer(answer[at : at + size], np.float32)
        at += size
    raise ValueError("the answer has no probabilities")
