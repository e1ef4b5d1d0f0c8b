"""Simple predictions: an image as the body, or several as a form; labels and probabilities as JSON."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from vouch.bundle.wire_format import varint
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import InvalidRequest, UnsupportedMedia, quoted
from vouch.server.rest import form as forms
from vouch.server.rest.content import JSON, Content, json_content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.route import Asked
from vouch.server.rpc.method import Serialized
from vouch.server.transport.joining import joined

OPTIONS = ("top_k", "coverage", "version")
MOST_FILES = 16_384
"""Most files in a form; the server's settings may allow fewer images in a request."""
TOP_K = 5
"""Default number of classes returned per image."""
BELOW = 1 << 31
ENCODED_TAG, FILE_TAG = 4 << 3 | 2, 1 << 3 | 2
"""Of the files' field in a PredictRequest, and of a file in it."""
COPIES = 2
"""Of a body: in the message, and in the serialized message."""


async def read_predict(exchange: Exchange, values: Mapping[str, str], hold: Hold) -> Asked:
    """As `route.Read`: any body except a form or JSON is taken as an image file, whatever its media type."""
    options = exchange.query(OPTIONS)
    kind = exchange.media_type
    if kind == JSON:
        raise UnsupportedMedia(
            "expected an image file as the body, or a form with files; send pixels as JSON to "
            f"/v2/models/{values['model']}/infer"
        )
    body = await exchange.body(hold)
    names: list[str] | None = None
    files: Sequence[Serialized | bytearray] = [body]
    if kind == forms.MEDIA_TYPE:
        form = await forms.read_form(body, exchange.header(b"content-type"), MOST_FILES, hold)
        files, names, options = form.files, form.names, _merged(options, form.fields)
    elif not body:
        raise InvalidRequest("expected an image file as the body, got nothing")
    if len(body) > FREE_BYTES:
        hold.take("received", COPIES * len(body))
    request = pb.PredictRequest(
        model=values["model"],
        version=_whole(options, "version", 0),
        top_k=_whole(options, "top_k", 1, TOP_K),
        coverage=_coverage(options),
    )
    message = await joined([request.SerializeToString(), *_encoded(files)])
    return Asked(message, partial(_written, names=names), growth=20)


def _encoded(files: Sequence[Serialized | bytearray]) -> list[Serialized | bytearray]:
    """The field of a PredictRequest that has these files, in pieces: protobuf would copy them twice."""
    pieces = list[Serialized | bytearray]()
    for file in files:
        pieces += [bytes([FILE_TAG]) + varint(len(file)), file]
    return [bytes([ENCODED_TAG]) + varint(sum(map(len, pieces))), *pieces]


def _written(message: bytes, names: Sequence[str] | None) -> Content:
    """Writes a serialized PredictResponse.

    Args:
        names: names of the files; None if the body was the file.
    """
    answer = pb.PredictResponse.FromString(message)
    top_k, at = answer.top_k, 0
    predictions = list[dict[str, Any]]()
    for number in range(len(answer.probabilities) // top_k):
        span = slice(number * top_k, (number + 1) * top_k)
        best = zip(answer.labels[span], answer.probabilities[span], strict=True)
        said: dict[str, Any] = {} if names is None else {"file": names[number]}
        said["labels"] = [{"label": label, "probability": probability} for label, probability in best]
        if answer.set_sizes:
            said["label_set"] = list(answer.set_labels[at : at + answer.set_sizes[number]])
            at += answer.set_sizes[number]
        predictions.append(said)
    return json_content({"model": answer.model, "version": answer.version, "predictions": predictions})


def _merged(options: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    for name in fields:
        if name not in OPTIONS:
            raise InvalidRequest(f"unknown field {quoted(name)} of the form: expected files, {', '.join(OPTIONS)}")
        if name in options:
            raise InvalidRequest(f"{name} is in the query and in the form; expected it once")
    return {**options, **fields}


def _whole(options: Mapping[str, str], name: str, least: int, default: int = 0) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or not text.isascii() or len(text) > 10 or not least <= int(text) < BELOW:
        raise InvalidRequest(f"expected an integer from {least} to {BELOW - 1:,} as {name}, got {quoted(text)}")
    return int(text)


def _coverage(options: Mapping[str, str]) -> float:
    text = options.get("coverage", "0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise InvalidRequest(f"expected a number from 0 to below 1 as coverage, such as 0.95, got {quoted(text)}")
    return value
