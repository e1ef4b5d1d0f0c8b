"""Headers that REST reads and writes: their names, and their documentation in the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vouch.server.transport.asgi_request import TIMEOUT_DIGITS, TIMEOUT_KEY, TIMEOUT_UNITS
from vouch.server.transport.inflating import WINDOW_BITS

ENCODINGS = {"": "identity", "identity": "identity", "x-gzip": "gzip"} | {name: name for name in WINDOW_BITS}
"""Value of Content-Encoding -> encoding of the body."""


class Header(NamedTuple):
    """One header of requests or responses."""

    key: bytes
    """Its name in lower case."""
    description: str
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name as text."""
        return self.key.decode()


def _units() -> str:
    return b"".join(TIMEOUT_UNITS).decode()


TIMEOUT = Header(
    TIMEOUT_KEY,
    f"How long the caller waits: at most {TIMEOUT_DIGITS} digits and a unit ({', '.join(_units())}), such as 500m for "
    "500 milliseconds",
    {"type": "string", "pattern": f"^[0-9]{{1,{TIMEOUT_DIGITS}}}[{_units()}]$"},
)
ACCEPT_ENCODING = Header(b"accept-encoding", "With gzip, a long response is compressed", {"type": "string"})
BODY_ENCODING = Header(
    b"content-encoding",
    "How the body is compressed; without this header, it is not compressed",
    {"type": "string", "enum": [name for name in ENCODINGS if name]},
)
HEADER_LENGTH = Header(
    b"inference-header-content-length",
    "Bytes of JSON before the binary tensors; without this header, the whole body is JSON",
    {"type": "integer", "minimum": 0},
)
ANSWER_ENCODING = Header(b"content-encoding", "How the response is compressed", {"type": "string", "enum": ["gzip"]})
RETRY_AFTER = Header(b"retry-after", "Seconds to wait before another try", {"type": "integer", "minimum": 1})
ALLOW = Header(b"allow", "The verbs that the path accepts", {"type": "string"})

OF_REQUESTS = (TIMEOUT, ACCEPT_ENCODING)
"""Read from every request."""
OF_BODIES = (BODY_ENCODING,)
"""Read from every request that may have a body."""
OF_ANSWERS = (ANSWER_ENCODING,)
"""Possible headers of every response."""
OF_PROBLEMS = (ANSWER_ENCODING, RETRY_AFTER, ALLOW)
"""Possible headers of every problem."""
