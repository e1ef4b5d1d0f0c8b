"""Errors over HTTP: problem documents (RFC 9457), and the one table from our errors to HTTP's codes."""

from http import HTTPStatus
from typing import Any

import orjson

from vouch.bundle.errors import InvalidImage
from vouch.server.errors import (
    BundleGone,
    Closed,
    CountsUnknown,
    DeadlineExpired,
    InvalidRequest,
    LoadNotAllowed,
    MessageTooLarge,
    NotReady,
    Overloaded,
    UnknownModel,
    Unsupported,
    UnsupportedMedia,
    UnusableAnswer,
)
from vouch.server.rest.content import Content, Headers
from vouch.server.rest.headers import RETRY_AFTER
from vouch.server.rpc.status import Status

MEDIA_TYPE = "application/problem+json"
CODES: dict[type[Exception], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    InvalidImage: HTTPStatus.BAD_REQUEST,
    UnknownModel: HTTPStatus.NOT_FOUND,
    NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    Closed: HTTPStatus.SERVICE_UNAVAILABLE,
    CountsUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
    LoadNotAllowed: HTTPStatus.FORBIDDEN,
    Unsupported: HTTPStatus.NOT_IMPLEMENTED,
    UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    DeadlineExpired: HTTPStatus.GATEWAY_TIMEOUT,
    BundleGone: HTTPStatus.CONFLICT,
    MessageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnusableAnswer: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The same errors as in `rpc.status.CODES`; everything else is 500."""
RETRY_AFTER_S = 1
AGAIN_LATER = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


class Refused(Exception):
    """A request that is refused before it becomes a call: its path, method, host or origin is not accepted."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Headers = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers


def problem(status: HTTPStatus, detail: str, headers: Headers = ()) -> Content:
    """A problem document. `error` repeats `detail`: clients of Open Inference read it there."""
    if status in AGAIN_LATER:
        headers = (*headers, (RETRY_AFTER.name, str(RETRY_AFTER_S)))
    return Content(orjson.dumps(problem_value(status, detail)), MEDIA_TYPE, status, headers)


def problem_value(status: HTTPStatus, detail: str) -> dict[str, Any]:
    """A problem document as a value."""
    return {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, "error": detail}


def http_status(status: Status) -> HTTPStatus:
    """The HTTP status of a failed call."""
    return CODES.get(status.error, HTTPStatus.INTERNAL_SERVER_ERROR)
