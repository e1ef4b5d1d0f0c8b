"""Open Inference over HTTP: reads a request, JSON with or without binary tensors after it, into a ModelInferRequest.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from vouch.bundle.wire_format import varint
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest, quoted
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.headers import HEADER_LENGTH
from vouch.server.rest.infer_answer import written
from vouch.server.rest.json_body import kind_of, pixels_of, read_json
from vouch.server.rest.route import Asked, Write
from vouch.server.rpc.method import Serialized
from vouch.server.transport.joining import joined

UINT8 = "UINT8"
RAW_TAG = 7 << 3 | 2
"""Of `raw_input_contents`, the message's last field."""
SIZE, BINARY, ALL_BINARY = "binary_data_size", "binary_data", "binary_data_output"
REQUEST = {"id": str, "parameters": dict, "inputs": list, "outputs": list}
INPUT = {"name": str, "shape": list, "datatype": str, "parameters": dict, "data": list}
OUTPUT = {"name": str, "parameters": dict}
NAMES: dict[type, str] = {str: "a string", dict: "an object", list: "a list"}
MOST_TENSORS, MOST_PARAMETERS, MOST_SIZES = 16, 32, 8
"""Most inputs or outputs of a request (our models have one and two), parameters of each, and sizes of a shape."""
MOST_KNOWN, MOST_KNOWN_BYTES = 256, 1024
"""Limits of the remembered JSON texts: their number, because a client may never repeat one, and their length."""


class InferReader:
    """Reads a request as `route.Read`.

    Clients send the same JSON again and again, before other pixels. If one binary tensor follows, the JSON is parsed
    once and later recognised by its bytes.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, bytes, int], Asked] = {}
        """(model, version, JSON, bytes of the tensor) -> the parsed request without the tensor at its end."""

    async def __call__(self, exchange: Exchange, values: Mapping[str, str], hold: Hold) -> Asked:
        exchange.query()
        text, tensors = _split(await exchange.body(hold), exchange.header(HEADER_LENGTH.key))
        if not len(tensors) or len(text) > MOST_KNOWN_BYTES:
            head, contents, write = await _read(exchange, values, hold, text, tensors)
            return Asked(await joined([head, *_raw(contents)]), write)
        key = (values["model"], values.get("version", ""), bytes(text), len(tensors))
        known = self._known.get(key)
        if known is not None:
            return Asked(await joined((known.request, tensors)), known.write)
        head, contents, write = await _read(exchange, values, hold, text, tensors)
        pieces = [head, *_raw(contents)]
        if len(contents) == 1:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = Asked(b"".join(pieces[:-1]), write)
        return Asked(await joined(pieces), write)


async def _read(
    exchange: Exchange, values: Mapping[str, str], hold: Hold, text: Serialized, blobs: memoryview
) -> tuple[bytes, list[Serialized], Write]:
    """The message without its tensors, the tensors, and how its answer is written.

    Args:
        text: the JSON.
        blobs: the tensors after it.
    """
    request = _checked(await read_json(text, hold, exchange.intake.long_work), REQUEST, "the request")
    parameters = request.get("parameters", {})
    message = pb.ModelInferRequest(
        model_name=values["model"], model_version=values.get("version", ""), id=request.get("id", "")
    )
    binary = _flag(parameters, ALL_BINARY)
    _fill(message.parameters, {key: value for key, value in parameters.items() if key != ALL_BINARY})
    contents = list[Serialized]()
    for number, tensor in enumerate(_tensors(request, "inputs")):
        content, blobs = await _add_input(message, _checked(tensor, INPUT, f"input {number}"), blobs)
        contents.append(content)
    if len(blobs):
        raise InvalidRequest(f"{len(blobs):,} bytes follow the tensors that the request describes")
    binaries = dict[str, bool]()
    for number, tensor in enumerate(_tensors(request, "outputs")):
        name, is_binary = _add_output(message, _checked(tensor, OUTPUT, f"output {number}"), binary)
        binaries[name] = is_binary
    return message.SerializeToString(), contents, partial(written, binaries=binaries, binary=binary)


def _raw(contents: Sequence[Serialized]) -> list[Serialized]:
    """The last fields of the message, in pieces: protobuf would copy the tensors twice."""
    return [piece for content in contents for piece in (bytes([RAW_TAG]) + varint(len(content)), content)]


def _split(body: Serialized, header_length: str) -> tuple[Serialized, memoryview]:
    """The JSON, and the tensors after it."""
    if not header_length:
        return body, memoryview(b"")
    if not header_length.isdecimal() or len(header_length) > 10 or int(header_length) > len(body):
        raise InvalidRequest(
            f"expected {HEADER_LENGTH.name} to be the number of bytes of JSON in the body, at most {len(body):,}, "
            f"got {quoted(header_length)}"
        )
    view = memoryview(body)
    return view[: int(header_length)], view[int(header_length) :]


async def _add_input(
    message: pb.ModelInferRequest, tensor: Mapping[str, Any], blobs: memoryview
) -> tuple[Serialized, memoryview]:
    """Adds an input; returns its content, and the tensors that follow."""
    name, parameters = tensor.get("name", ""), dict(tensor.get("parameters", {}))
    size = parameters.pop(SIZE, None)
    if size is None:
        data = tensor.get("data")
        if data is None:
            raise InvalidRequest(f"input {quoted(name)} has neither data nor {SIZE}")
        # If the datatype is wrong, the method reports it; the content does not matter.
        content: Serialized = await pixels_of(data, name) if tensor.get("datatype") == UINT8 else b""
    else:
        if "data" in tensor:
            raise InvalidRequest(f"input {quoted(name)} has both data and {SIZE}")
        if type(size) is not int or not 0 <= size <= len(blobs):
            raise InvalidRequest(
                f"expected {SIZE} of input {quoted(name)} to be at most the {len(blobs):,} bytes that are left, "
                f"got {kind_of(size)}"
            )
        content, blobs = blobs[:size], blobs[size:]
    shape = tensor.get("shape", [])
    if len(shape) > MOST_SIZES or not all(type(one) is int and 0 <= one < 1 << 63 for one in shape):
        raise InvalidRequest(f"expected at most {MOST_SIZES} integers of 0 or more as shape of input {quoted(name)}")
    added = message.inputs.add(name=name, datatype=tensor.get("datatype", ""), shape=shape)
    _fill(added.parameters, parameters)
    return content, blobs


def _add_output(message: pb.ModelInferRequest, tensor: Mapping[str, Any], binary: bool) -> tuple[str, bool]:
    """Adds an output; returns its name, and whether its answer is binary."""
    parameters = dict(tensor.get("parameters", {}))
    is_binary = _flag(parameters, BINARY) if BINARY in parameters else binary
    parameters.pop(BINARY, None)
    added = message.outputs.add(name=tensor.get("name", ""))
    _fill(added.parameters, parameters)
    return added.name, is_binary


def _tensors(request: Mapping[str, Any], key: str) -> list[Any]:
    found: list[Any] = request.get(key, [])
    if len(found) > MOST_TENSORS:
        raise InvalidRequest(f"expected at most {MOST_TENSORS} {key}, got {len(found):,}")
    return found


def _flag(parameters: Mapping[str, Any], key: str) -> bool:
    value = parameters.get(key, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"expected true or false for parameter {quoted(key)}, got {kind_of(value)}")
    return value


def _checked(value: Any, fields: Mapping[str, type], what: str) -> Mapping[str, Any]:
    """An object with only these fields, each of its type."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"expected an object as {what}, got {kind_of(value)}")
    for key, one in value.items():
        if key not in fields:
            raise InvalidRequest(f"unknown field {quoted(key)} of {what}: expected {', '.join(fields)}")
        if not isinstance(one, fields[key]):
            raise InvalidRequest(f"expected {NAMES[fields[key]]} as {key} of {what}, got {kind_of(one)}")
    return value


def _fill(parameters: Any, values: Mapping[str, Any]) -> None:
    """Copies the parameters into a message."""
    if len(values) > MOST_PARAMETERS:
        raise InvalidRequest(f"expected at most {MOST_PARAMETERS} parameters, got {len(values):,}")
    for key, value in values.items():
        if isinstance(value, bool):
            parameters[key].bool_param = value
        elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            parameters[key].int64_param = value
        elif isinstance(value, float):
            parameters[key].double_param = value
        elif isinstance(value, str):
            parameters[key].string_param = value
        else:
            raise InvalidRequest(f"expected a string, a number, true or false as parameter {quoted(key)}")
