"""The OpenAPI document of the REST interface, made from the table of its paths."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from vouch import __version__
from vouch.protos.inference import inference_pb2 as oip
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rest.headers import OF_ANSWERS, OF_PROBLEMS, Header
from vouch.server.rest.messages import SCHEMAS, schemas
from vouch.server.rest.problem import MEDIA_TYPE, problem_value
from vouch.server.rest.route import Route

PATH = "/openapi.json"
ANSWERS = (
    *(pb.ListModelsResponse, pb.GetModelResponse, pb.EvaluateResponse, oip.ServerMetadataResponse),
    *(oip.RepositoryIndexResponse, oip.ModelMetadataResponse, oip.ModelConfig, oip.ModelStatisticsResponse),
)
"""Messages that are responses."""
PROBLEM = {
    "type": "object",
    "properties": {
        name: {"type": "integer" if isinstance(value, int) else "string"}
        for name, value in problem_value(HTTPStatus.OK, "").items()
    },
    "required": ["type", "title", "status", "detail"],
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html)."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route)
    components = {"Problem": PROBLEM}
    for answer in ANSWERS:
        components |= schemas(answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vouch",
            "version": __version__,
            "description": "Predictions of image classifiers, and how far they can be trusted.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: Route) -> dict[str, Any]:
    said, content = route.documented, _content(route.documented.answer)
    headers = _named((*OF_ANSWERS, *said.headers_of_answer))
    operation: dict[str, Any] = {
        "summary": said.summary,
        "operationId": _name(route),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _value(name)} for name in _values(route.path)),
            *({"name": name, "in": "query", "schema": schema} for name, schema in said.query.items()),
            *({"name": header.name, "in": "header", **_said(header)} for header in route.headers),
        ],
        "responses": {
            **{
                str(code.value): {"description": code.phrase, "headers": headers, "content": content}
                for code in said.answered
            },
            "default": {
                "description": "A problem (RFC 9457)",
                "headers": _named(OF_PROBLEMS),
                "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "Problem"}}},
            },
        },
    }
    if said.body:
        operation["requestBody"] = {"required": True, "content": _content(said.body)}
    return operation


def _named(headers: Sequence[Header]) -> dict[str, Any]:
    return {header.name: _said(header) for header in headers}


def _said(header: Header) -> dict[str, Any]:
    return {"description": header.description, "schema": header.schema}


def _content(kinds: Any) -> dict[str, Any]:
    return {kind: {"schema": schema} for kind, schema in kinds.items()}


def _values(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _value(name: str) -> dict[str, Any]:
    pattern = "^[1-9][0-9]{0,8}$" if name == "version" else "^[^/:]+$"
    return {"type": "string", "pattern": pattern}


def _name(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path)
    return "_".join([route.verb.lower(), *words])
