"""Reads a ModelInferRequest: checks its images and requested outputs, and refuses invalid ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vouch.bundle.pixel_settings import PixelSettings
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest, quoted
from vouch.server.model.session import Outputs
from vouch.server.rpc.fast import Span, find_field
from vouch.server.rpc.method import Serialized
from vouch.server.services.images import Images, check_shape, images_in
from vouch.server.services.oip.typed import count_values, pixels_of, written_values

INPUT, INPUT_TYPE = "images", "UINT8"
CLASSIFICATION = "classification"
REQUEST_PARAMETERS = {
    "sequence_id": ("int64_param", "string_param"),
    "sequence_start": ("bool_param",),
    "sequence_end": ("bool_param",),
    "priority": ("uint64_param", "int64_param"),
    "timeout": ("int64_param",),
    "triton_enable_empty_final_response": ("bool_param",),
}
"""Parameters of a request that Triton's clients send, and their types. They have no effect: there is one queue without
priorities, and every request has exactly one response, which is its final one."""
COPIES = 2
"""Of typed pixels: in pieces, and joined."""
QUOTED_INPUTS = 4
"""Number of inputs shown in an error."""
RESERVED_PREFIX = "triton_"
UNSUPPORTED_PARAMETERS = ("shared_memory_region",)
"""Parameters of a tensor that change the answer, so that ignoring them would give a wrong one."""
Parameters = Mapping[str, pb.InferParameter]


@dataclass(frozen=True)
class RequestedOutput:
    """One requested output."""

    name: str
    top_k: int = 0
    """This many classes per image instead of the values; 0 for the values."""


ALL_OUTPUTS = tuple(map(RequestedOutput, Outputs._fields))


def requested_images(
    request: pb.ModelInferRequest, left_out: Serialized | None, expected: PixelSettings, max_images: int
) -> Images:
    """The images of the only input, raw or typed; at most `max_images`.

    Args:
        left_out: its pixels, if they were left out of the message: typed ones as they were written, or raw ones.

    Raises:
        InvalidRequest: another input, datatype, shape or amount of data.
    """
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        got = ", ".join(quoted(tensor.name) for tensor in request.inputs[:QUOTED_INPUTS])
        more = f" and {len(request.inputs) - QUOTED_INPUTS:,} more" if len(request.inputs) > QUOTED_INPUTS else ""
        raise InvalidRequest(f"expected one input {INPUT!r}, got [{got}]{more}")
    tensor = request.inputs[0]
    _check_tensor_parameters(tensor.parameters)
    if tensor.datatype != INPUT_TYPE:
        raise InvalidRequest(f"expected datatype {INPUT_TYPE} for {INPUT!r}, got {quoted(tensor.datatype)}")
    if not request.raw_input_contents:
        return _typed_images(tensor, left_out, expected, max_images)
    if tensor.HasField("contents"):
        raise InvalidRequest("expected either contents or raw_input_contents, got both")
    if len(request.raw_input_contents) != 1:
        raise InvalidRequest(f"expected 1 entry in raw_input_contents, got {len(request.raw_input_contents)}")
    pixels = request.raw_input_contents[0] if left_out is None else left_out
    return images_in(pixels, tensor.shape, expected, max_images)


def requested_outputs(request: pb.ModelInferRequest) -> Sequence[RequestedOutput]:
    """The requested outputs, in that order; all if none is named.

    Raises:
        InvalidRequest: an unknown output, one named twice, or an unsupported parameter.
    """
    if not request.outputs:
        return ALL_OUTPUTS
    names = [output.name for output in request.outputs]
    if not set(names) <= set(Outputs._fields) or len(set(names)) != len(names):
        raise InvalidRequest(f"expected outputs among {list(Outputs._fields)}, each once; got {names}")
    return [_requested_output(output) for output in request.outputs]


def find_pixels(request: Serialized) -> Span | None:
    """Where the only entry of raw_input_contents, field 7, is in a serialized request."""
    return find_field(request, 7 << 3 | 2, 0, len(request))


def check_request_parameters(parameters: Parameters) -> None:
    """Accepts parameters that change no answer, including the caller's own keys.

    Raises:
        InvalidRequest: a known parameter of a wrong type, a sequence (models keep no state), or an unknown key with
            Triton's own prefix.
    """
    for name in parameters:
        types = REQUEST_PARAMETERS.get(name)
        if types is None:
            if name.startswith(RESERVED_PREFIX):
                raise InvalidRequest(f"parameter {quoted(name)} is not supported; {RESERVED_PREFIX}* is reserved")
            continue
        kind = parameters[name].WhichOneof("parameter_choice")
        if kind not in types:
            raise InvalidRequest(f"expected {' or '.join(types)} for parameter {name!r}, got {kind or 'no value'}")
        value = getattr(parameters[name], kind)
        if name == "sequence_id" and value:
            raise InvalidRequest(f"expected no sequence, got sequence_id {quoted(value)}: models keep no state")
        if name == "priority" and value < 0:
            raise InvalidRequest(f"expected a priority of 0 or more, got {value}")


def _typed_images(
    tensor: pb.ModelInferRequest.InferInputTensor, written: Serialized | None, expected: PixelSettings, max_images: int
) -> Images:
    check_shape(tensor.shape, expected, max_images)
    filled = [field.name for field, _ in tensor.contents.ListFields()]
    if filled != ["uint_contents"]:
        raise InvalidRequest(f"expected {INPUT_TYPE} values in uint_contents, got {filled or 'no contents'}")
    values = written_values(tensor.contents) if written is None else written
    shape, count, given = tuple(tensor.shape), int(np.prod(tensor.shape, dtype=object)), count_values(values)
    if given != count:
        raise InvalidRequest(f"expected {count:,} values for shape {list(shape)}, got {given:,}")

    async def load(hold: Hold) -> np.ndarray:
        hold.take("decoded", COPIES * count)
        try:
            return (await pixels_of(values)).reshape(shape)
        finally:
            hold.give_back("decoded", COPIES * count)

    return Images(shape[0], False, load)


def _requested_output(output: pb.ModelInferRequest.InferRequestedOutputTensor) -> RequestedOutput:
    _check_tensor_parameters(output.parameters)
    if CLASSIFICATION not in output.parameters:
        return RequestedOutput(output.name)
    parameter = output.parameters[CLASSIFICATION]
    kind = parameter.WhichOneof("parameter_choice")
    if kind != "int64_param" or parameter.int64_param <= 0:
        value = getattr(parameter, kind) if kind else "no value"
        raise InvalidRequest(f"expected an int64_param above 0 for parameter {CLASSIFICATION!r}, got {quoted(value)}")
    return RequestedOutput(output.name, parameter.int64_param)


def _check_tensor_parameters(parameters: Parameters) -> None:
    for name in UNSUPPORTED_PARAMETERS:
        if name in parameters:
            raise InvalidRequest(f"parameter {name!r} is not supported")
