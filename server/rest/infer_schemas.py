"""The schemas of Open Inference's requests and responses."""

from typing import Any

from vouch.server.rest.content import JSON
from vouch.server.rest.infer_answer import BINARY_TYPE

_PARAMETERS = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
}
_SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 0}}
_BINARY = {"type": "string", "format": "binary"}


def _tensor(data: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": _SHAPE,
            "parameters": _PARAMETERS,
            "data": {"type": "array", "items": data},
        },
        "required": ["name", "datatype", "shape", *required],
        "additionalProperties": False,
    }


INFER_REQUEST: dict[str, Any] = {
    JSON: {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": _PARAMETERS,
            "inputs": {"type": "array", "items": _tensor({"type": "integer", "minimum": 0, "maximum": 255})},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["inputs"],
        "additionalProperties": False,
    },
    BINARY_TYPE: _BINARY,
}
INFER_ANSWER: dict[str, Any] = {
    JSON: {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": _tensor({"anyOf": [{"type": "number"}, {"type": "string"}]})},
        },
        "required": ["model_name", "model_version", "outputs"],
    },
    BINARY_TYPE: _BINARY,
}
