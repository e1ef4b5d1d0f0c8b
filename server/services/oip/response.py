"""Writes answers of ModelInfer in parts: raw values, or classes by rank; as raw or typed contents, like the request.

Uses no protobuf objects, which would be one for each value or class.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from vouch.bundle.manifest import Manifest
from vouch.bundle.wire_format import varint
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.model.session import Outputs
from vouch.server.rpc.soon import Parts
from vouch.server.services.cost import VALUE_BYTES, AnswerSize, too_long
from vouch.server.services.oip.request import RequestedOutput
from vouch.server.services.prediction import NO_WISHES, Prediction, Ranking, Wishes, Write
from vouch.server.services.predictor import Writing

OUTPUT_TYPE, CLASSES_TYPE = "FP32", "BYTES"
OUTPUT_TAG, RAW_TAG = bytes([5 << 3 | 2]), bytes([6 << 3 | 2])
CONTENTS_TAG, VALUES_TAG, ELEMENT_TAG = bytes([5 << 3 | 2]), bytes([6 << 3 | 2]), bytes([8 << 3 | 2])
SHORTEST_VALUE, LONGEST_VALUE = len("0.000000"), len(f"{np.finfo(np.float32).min:.6f}")
LENGTH_BYTES = 4
"""Bytes of the length before each element of a raw BYTES tensor."""
LENGTHS_BYTES = 32
"""Most bytes of lengths and tags around the content of an output."""
ELEMENT_S = 500e-9
"""Seconds to write a class, on today's machines."""


def wishes_of(wanted: Sequence[RequestedOutput], manifest: Manifest) -> Wishes:
    """What ModelInfer needs of a prediction."""
    classes = len(manifest.labels)
    place = Outputs._fields.index
    rankings = tuple(Ranking(place(output.name), min(output.top_k, classes)) for output in wanted if output.top_k)
    return Wishes(rankings) if rankings else NO_WISHES


def infer_writing(
    request: pb.ModelInferRequest, manifest: Manifest, wanted: Sequence[RequestedOutput], images: int, max_bytes: int
) -> Writing:
    """How the answer is written: with the request's id, outputs in the order of `wanted`, at most `max_bytes`."""
    raw, classes = bool(request.raw_input_contents), len(manifest.labels)
    ranked = [min(output.top_k, classes) for output in wanted if output.top_k]
    tensors = [_tensor(output, images, classes) for output in wanted]
    head = pb.ModelInferResponse(model_name=manifest.name, model_version=str(manifest.version), id=request.id)
    if raw:
        head.outputs.extend(tensors)
    before, elements = head.SerializeToString(), Elements(manifest.labels, raw)
    own = [b"" if raw else tensor.SerializeToString() for tensor in tensors]
    if raw and not ranked:
        write = _raw_values(before, [output.name for output in wanted], VALUE_BYTES * images * classes)
    else:
        write = _contents(before, list(zip(wanted, own, strict=True)), elements, max_bytes)
    fixed = len(before) + sum(map(len, own)) + VALUE_BYTES * images * classes * (len(wanted) - len(ranked))
    size = AnswerSize(
        fixed + images * sum(map(elements.least, ranked)),
        fixed + images * sum(map(elements.most, ranked)) + LENGTHS_BYTES * len(wanted),
        ", ".join(f"{min(output.top_k or classes, classes):,} {output.name} for each" for output in wanted),
    )
    return Writing(write, size, images * sum(ranked) * ELEMENT_S)


def _tensor(output: RequestedOutput, images: int, classes: int) -> pb.ModelInferResponse.InferOutputTensor:
    """An output without its content."""
    shape = (images, min(output.top_k or classes, classes))
    datatype = CLASSES_TYPE if output.top_k else OUTPUT_TYPE
    return pb.ModelInferResponse.InferOutputTensor(name=output.name, datatype=datatype, shape=shape)


def _raw_values(before: bytes, names: Sequence[str], content_bytes: int) -> Write:
    """Writes only values, which come in one piece and always have the same length."""
    first, *others = map(Outputs._fields.index, names)
    before_each = RAW_TAG + varint(content_bytes)
    before_first = before + before_each

    def write(predictions: Iterable[Prediction]) -> Parts:
        ((rows, _, _),) = predictions
        parts: list[bytes | memoryview] = [before_first, rows[first].data.cast("B")]
        for other in others:
            parts += (before_each, rows[other].data.cast("B"))
        return tuple(parts)

    return write


def _contents(
    before: bytes, outputs: Sequence[tuple[RequestedOutput, bytes]], elements: "Elements", max_bytes: int
) -> Write:
    """Writes values and classes.

    Args:
        outputs: each with its message without the content; empty if contents are raw.
    """

    def write(predictions: Iterable[Prediction]) -> Parts:
        contents: list[list[bytes | memoryview]] = [[] for _ in outputs]
        size = len(before)
        for prediction in predictions:
            ranked = iter(prediction.ranked)
            for (output, _), content in zip(outputs, contents, strict=True):
                if output.top_k:
                    content.append(elements.joined(*next(ranked)))
                else:
                    content.append(getattr(Outputs(*prediction.rows), output.name).data.cast("B"))
                size += len(content[-1])
            if size > max_bytes:
                raise too_long(max_bytes)
        parts: list[bytes | memoryview] = [before]
        for (output, own), content in zip(outputs, contents, strict=True):
            size = sum(map(len, content))
            parts += _typed_head(own, output, size) if own else (RAW_TAG + varint(size),)
            parts += content
        return tuple(parts)

    return write


def _typed_head(own: bytes, output: RequestedOutput, size: int) -> tuple[bytes, ...]:
    """The bytes before an output's typed content of `size` bytes."""
    values = b"" if output.top_k else VALUES_TAG + varint(size)
    contents = CONTENTS_TAG + varint(len(values) + size)
    return (OUTPUT_TAG + varint(len(own) + len(contents) + len(values) + size), own, contents, values)


class Elements:
    """`value:position:label` of classes, as the elements of a tensor of BYTES.

    Values are the output's own, with six decimals, as in Triton's classification extension.
    """

    def __init__(self, labels: Sequence[str], raw: bool) -> None:
        """
        Args:
            raw: whether to write them after lengths of four bytes; otherwise as a repeated field.
        """
        self._raw = raw
        self._labels = labels

    def joined(self, classes: Sequence[int], values: np.ndarray) -> bytes:
        """The elements of these classes with their values, one after the other."""
        ends, heads = self._ends, self._heads
        elements = [b"%.6f%b" % (value, ends[k]) for value, k in zip(values.tolist(), classes, strict=True)]
        return b"".join([part for element in elements for part in (heads[len(element)], element)])

    def least(self, top_k: int) -> int:
        """Bytes of the `top_k` shortest elements."""
        return top_k * (SHORTEST_VALUE + self._before(1)) + sum(sorted(map(len, self._ends))[:top_k])

    def most(self, top_k: int) -> int:
        """Bytes of the `top_k` longest elements."""
        return top_k * (LONGEST_VALUE + self._before(5)) + sum(sorted(map(len, self._ends))[-top_k:])

    def _before(self, length_bytes: int) -> int:
        return LENGTH_BYTES if self._raw else len(ELEMENT_TAG) + length_bytes

    @cached_property
    def _ends(self) -> list[bytes]:
        """The text after the value, by class. Made at first use: values without classes do not need it."""
        return [f":{position}:{label}".encode() for position, label in enumerate(self._labels)]

    @cached_property
    def _heads(self) -> list[bytes]:
        """The bytes before an element, by its length."""
        lengths = range(LONGEST_VALUE + max(map(len, self._ends)) + 1)
        if self._raw:
            return [length.to_bytes(LENGTH_BYTES, "little") for length in lengths]
        return [ELEMENT_TAG + varint(length) for length in lengths]
