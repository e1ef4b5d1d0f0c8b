"""Building of a ModelInferResponse: values as they are, or classes by rank; raw or typed."""

from collections.abc import Callable, Sequence

import numpy as np

from vouch.bundle.manifest import Manifest
from vouch.bundle.wire_format import varint
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.model.request import Rows
from vouch.server.model.session import Outputs
from vouch.server.rpc.soon import Parts
from vouch.server.services.oip.request import RequestedOutput

OUTPUT_TYPE, CLASSES_TYPE = "FP32", "BYTES"
RAW_OUTPUT_TAG = bytes([6 << 3 | 2])
MAX_RANKED = 100_000
"""Classes in a response, images times classes asked for: writing them holds up the event loop, here about 0.1 s."""


def check_ranked(outputs: Sequence[RequestedOutput], images: int, labels: tuple[str, ...]) -> None:
    """
    Raises:
        InvalidRequest: more classes are asked for by `classification` than one response may name.
    """
    ranked = images * sum(min(output.top_k, len(labels)) for output in outputs)
    if ranked > MAX_RANKED:
        raise InvalidRequest(
            f"expected classification of at most {MAX_RANKED:,} classes, all images together, got {ranked:,}; "
            "send fewer images in a request, or ask for fewer classes"
        )


def infer_response(
    request: pb.ModelInferRequest, manifest: Manifest, wanted: Sequence[RequestedOutput], outputs: Outputs
) -> pb.ModelInferResponse:
    """The answer under the request's id, outputs in the order of `wanted`; typed where the request's pixels were."""
    response = pb.ModelInferResponse(model_name=manifest.name, model_version=str(manifest.version), id=request.id)
    raw = bool(request.raw_input_contents)
    for output in wanted:
        values = getattr(outputs, output.name)
        if output.top_k:
            _add_classes(response, output, values, manifest.labels, raw)
        else:
            _add_values(response, output, values, raw)
    return response


def raw_encoder(manifest: Manifest, wanted: Sequence[RequestedOutput], images: int) -> Callable[[Rows], Parts]:
    """What writes the same answer with other values again and again; raw, without an id.

    Args:
        wanted: with values, not classes.
        images: N.
    """
    head = pb.ModelInferResponse(model_name=manifest.name, model_version=str(manifest.version))
    shape = (images, len(manifest.labels))
    for output in wanted:
        head.outputs.add(name=output.name, datatype=OUTPUT_TYPE, shape=shape)
    first, *others = (Outputs._fields.index(output.name) for output in wanted)
    before_each = RAW_OUTPUT_TAG + varint(4 * shape[0] * shape[1])
    before_first = head.SerializeToString() + before_each

    def encode(outputs: Rows) -> Parts:
        parts: list[bytes | memoryview] = [before_first, outputs[first].data.cast("B")]
        for other in others:
            parts += (before_each, outputs[other].data.cast("B"))
        return tuple(parts)

    return encode


def classes_of(values: np.ndarray, top_k: int, labels: tuple[str, ...]) -> list[bytes]:
    """`value:position:label` of the highest classes of each image, in falling order, and of equals the first.

    Values are the output's own with six decimals, as Triton's classification extension writes them.

    Args:
        values: float32, shape (N, K).
        top_k: 1 or more; K is the most that come.

    Returns:
        N * min(top_k, K) elements, image by image, UTF-8.
    """
    positions = np.argsort(-values, axis=1, kind="stable")[:, :top_k]
    highest = np.take_along_axis(values, positions, axis=1).ravel().tolist()
    return [
        f"{value:.6f}:{position}:{labels[position]}".encode()
        for value, position in zip(highest, positions.ravel().tolist(), strict=True)
    ]


def _add_values(response: pb.ModelInferResponse, output: RequestedOutput, values: np.ndarray, raw: bool) -> None:
    """Adds an output as the model gave it.

    Args:
        values: float32, shape (N, K).
        raw: whether as bytes of the whole tensor, or typed.
    """
    tensor = response.outputs.add(name=output.name, datatype=OUTPUT_TYPE, shape=values.shape)
    if raw:
        response.raw_output_contents.append(values.tobytes())
    else:
        tensor.contents.fp32_contents.extend(values.ravel().tolist())


def _add_classes(
    response: pb.ModelInferResponse, output: RequestedOutput, values: np.ndarray, labels: tuple[str, ...], raw: bool
) -> None:
    """Adds an output as its `top_k` highest classes an image: shape (N, top_k or K) of `value:position:label`.

    Args:
        values: float32, shape (N, K).
    """
    elements = classes_of(values, output.top_k, labels)
    top_k = min(output.top_k, len(labels))
    tensor = response.outputs.add(name=output.name, datatype=CLASSES_TYPE, shape=(len(values), top_k))
    if raw:
        parts = [part for element in elements for part in (len(element).to_bytes(4, "little"), element)]
        response.raw_output_contents.append(b"".join(parts))
    else:
        tensor.contents.bytes_contents.extend(elements)
