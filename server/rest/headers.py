"""Headers that REST reads and writes: their names for the code, and what the OpenAPI document says of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vouch.server.transport.asgi_request import TIMEOUT_DIGITS, TIMEOUT_KEY, TIMEOUT_UNITS
from vouch.server.transport.inflating import WINDOW_BITS

ENCODINGS = {"": "identity", "identity": "identity", "x-gzip": "gzip"} | {name: name for name in WINDOW_BITS}
"""What a Content-Encoding may say -> as what the body is read."""


class Header(NamedTuple):
    """One header, of requests or of answers."""

    key: bytes
    """Its name in lower case."""
    description: str
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The same as text."""
        return self.key.decode()


def _units() -> str:
    return b"".join(TIMEOUT_UNITS).decode()


TIMEOUT = Header(
    TIMEOUT_KEY,
    f"How long the caller waits: up to {TIMEOUT_DIGITS} digits and a unit of {', '.join(_units())}, such as 500m for "
    "500 milliseconds",
    {"type": "string", "pattern": f"^[0-9]{{1,{TIMEOUT_DIGITS}}}[{_units()}]$"},
)
ACCEPT_ENCODING = Header(b"accept-encoding", "With gzip, a long answer comes compressed", {"type": "string"})
BODY_ENCODING = Header(
    b"content-encoding",
    "How the body is compressed; without it, it is not",
    {"type": "string", "enum": [name for name in ENCODINGS if name]},
)
HEADER_LENGTH = Header(
    b"inference-header-content-length",
    "Bytes of JSON in front of the binary tensors; without it, the whole body is JSON",
    {"type": "integer", "minimum": 0},
)
ANSWER_ENCODING = Header(b"content-encoding", "How the answer is compressed", {"type": "string", "enum": ["gzip"]})
RETRY_AFTER = Header(b"retry-after", "Seconds until the next try is worth it", {"type": "integer", "minimum": 1})
ALLOW = Header(b"allow", "The verbs that the path takes", {"type": "string"})

OF_REQUESTS = (TIMEOUT, ACCEPT_ENCODING)
"""Read of every request."""
OF_BODIES = (BODY_ENCODING,)
"""Read of every request that may have a body."""
OF_ANSWERS = (ANSWER_ENCODING,)
"""Sent where they say something, with every answer."""
OF_PROBLEMS = (ANSWER_ENCODING, RETRY_AFTER, ALLOW)
"""Likewise, with every problem."""
