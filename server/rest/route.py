"""A path over HTTP, and the method that answers it."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from vouch.server.budget import Hold
from vouch.server.errors import quoted
from vouch.server.rest.content import Content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.headers import ALLOW, OF_BODIES, OF_REQUESTS, Header
from vouch.server.rest.problem import Refused
from vouch.server.rpc.method import Serialized

Write = Callable[[bytes], Content]
"""From a serialized message of a method's answer."""


@dataclass(frozen=True)
class Asked:
    """What a request means, and how the answer to it is written."""

    request: Serialized
    """A message of the method."""
    write: Write
    growth: int = 8
    """How many times its message's bytes the answer takes while it is written: a float of 4 bytes may be 25 of text."""


READS = ("GET", "HEAD")
"""Verbs of requests that have no body."""
Read = Callable[[Exchange, Mapping[str, str], Hold], Awaitable[Asked]]
"""(request, values of its path, what its bytes are held in) -> what it means. Raises DomainErrors."""


@dataclass(frozen=True)
class Documented:
    """What the OpenAPI document says of a path, beside the path itself."""

    summary: str
    answer: Mapping[str, Any]
    """Media type -> schema, of an answer that is no error."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The same of the request; empty where it has no body."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """Name -> schema, with a description."""
    answered: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)
    """Codes of answers that are no errors."""
    headers: tuple[Header, ...] = ()
    """Read of its requests beside those of all requests."""
    headers_of_answer: tuple[Header, ...] = ()
    """Of answers that are no errors, beside those of all answers."""


@dataclass(frozen=True)
class Route:
    """A path that a method answers."""

    verb: str
    path: str
    """As /v1/models/{model}; a name in braces is a value, without a slash or a colon."""
    rpc: str
    """The method's path."""
    read: Read
    documented: Documented

    @property
    def headers(self) -> tuple[Header, ...]:
        """All that are read of its requests."""
        of_bodies = () if self.verb in READS else OF_BODIES
        return (*OF_REQUESTS, *of_bodies, *self.documented.headers)


@dataclass(frozen=True)
class Page:
    """A path that is answered without a method: it computes nothing."""

    verb: str
    path: str
    answer: Callable[[Exchange, Mapping[str, str]], Awaitable[Content]]
    """Raises Refused, DomainErrors."""
    summary: str
    """What is at this path, for the reference."""


class Routes:
    """All paths."""

    def __init__(self, routes: Sequence[Route | Page]) -> None:
        self._fixed: dict[str, dict[str, Route | Page]] = {}
        self._with_values: list[tuple[re.Pattern[str], dict[str, Route | Page]]] = []
        patterns: dict[str, dict[str, Route | Page]] = {}
        for route in routes:
            patterns.setdefault(route.path, {})[route.verb] = route
        for path, verbs in patterns.items():
            if "{" in path:
                self._with_values.append(
                    (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/:]+)", re.escape(path))), verbs)
                )
            else:
                self._fixed[path] = verbs

    def find(self, verb: str, path: str) -> tuple[Route | Page, dict[str, str]]:
        """The path's route, and the values in the path.

        Raises:
            Refused: no such path, or it is not answered to this verb.
        """
        verbs, values = self._verbs(path)
        route = verbs.get("GET" if verb == "HEAD" else verb)
        if route is None:
            allowed = ", ".join(sorted({*verbs, *(["HEAD"] if "GET" in verbs else [])}))
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"this path takes {allowed}", ((ALLOW.name, allowed),))
        return route, values

    def _verbs(self, path: str) -> tuple[dict[str, Route | Page], dict[str, str]]:
        if (fixed := self._fixed.get(path)) is not None:
            return fixed, {}
        for pattern, verbs in self._with_values:
            if (found := pattern.fullmatch(path)) is not None:
                return verbs, found.groupdict()
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no path {quoted(path)}; /openapi.json lists them")
