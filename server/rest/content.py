"""The content of an HTTP response."""

from dataclasses import dataclass

import orjson

JSON = "application/json"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Content:
    """A body, its media type, the status and headers."""

    body: bytes
    media_type: str = JSON
    status: int = 200
    headers: Headers = ()
    """Names, in lower case, and values."""


def json_content(value: object, status: int = 200) -> Content:
    """A value as JSON: every float as the shortest text that reads back as the same double."""
    return Content(orjson.dumps(value), status=status)
