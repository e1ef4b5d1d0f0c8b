"""The schemas of simple predictions."""

from typing import Any

from vouch.server.rest.form import MEDIA_TYPE as FORM

PREDICT_QUERY: dict[str, Any] = {
    "top_k": {
        "type": "integer",
        "minimum": 1,
        "maximum": 2**31 - 1,
        "description": "How many labels to return; 5 by default",
    },
    "coverage": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "description": "Also return label sets; at least this share of them, such as 0.95, contains the right label",
    },
    "version": {
        "type": "integer",
        "minimum": 0,
        "maximum": 2**31 - 1,
        "description": "A version's number; 0 or none: the live version",
    },
}
PREDICT_BODY: dict[str, Any] = {
    **{kind: {"type": "string", "format": "binary"} for kind in ("image/png", "image/jpeg", "image/webp")},
    "application/octet-stream": {"type": "string", "format": "binary"},
    FORM: {
        "type": "object",
        "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}, **PREDICT_QUERY},
        "required": ["file"],
    },
}
_LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "probability": {"type": "number"}},
    "required": ["label", "probability"],
}
PREDICT_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "predictions": {
            "type": "array",
            "description": "One for each image, in the same order",
            "items": {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "description": "Name of the file, if the request is a form"},
                    "labels": {"type": "array", "items": _LABEL, "description": "Most probable first"},
                    "label_set": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["labels"],
            },
        },
    },
    "required": ["model", "version", "predictions"],
}
