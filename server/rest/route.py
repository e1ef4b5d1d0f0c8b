"""HTTP paths, and the methods that answer them."""

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
"""A method's serialized response -> the content."""


@dataclass(frozen=True)
class Asked:
    """A method's request, and how its answer is written."""

    request: Serialized
    """The method's serialized message."""
    write: Write
    growth: int = 8
    """Memory for writing the answer, in multiples of its message: a float of 4 bytes may become 25 of text."""


READS = ("GET", "HEAD")
"""Verbs of requests without a body."""
Read = Callable[[Exchange, Mapping[str, str], Hold], Awaitable[Asked]]
"""(request, values in its path, the hold for its bytes) -> the method's request. Raises DomainErrors."""


@dataclass(frozen=True)
class Documented:
    """The documentation of a path in the OpenAPI document."""

    summary: str
    answer: Mapping[str, Any]
    """Media type -> schema of a successful response."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """Media type -> schema of the request; empty if it has no body."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """Name -> schema, with a description."""
    answered: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)
    """Status codes of successful responses."""
    headers: tuple[Header, ...] = ()
    """Headers that its requests may have, in addition to those of all requests."""
    headers_of_answer: tuple[Header, ...] = ()
    """Headers of successful responses, in addition to those of all responses."""


@dataclass(frozen=True)
class Route:
    """A path that a method answers."""

    verb: str
    path: str
    """Such as /v1/models/{model}; a name in braces is a value without slash or colon."""
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
    """A path without a method: it computes nothing."""

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
            Refused: there is no such path, or it does not accept this verb.
        """
        verbs, values = self._verbs(path)
        route = verbs.get("GET" if verb == "HEAD" else verb)
        if route is None:
            allowed = ", ".join(sorted({*verbs, *(["HEAD"] if "GET" in verbs else [])}))
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"this path accepts only {allowed}", ((ALLOW.name, allowed),))
        return route, values

    def _verbs(self, path: str) -> tuple[dict[str, Route | Page], dict[str, str]]:
        if (fixed := self._fixed.get(path)) is not None:
            return fixed, {}
        for pattern, verbs in self._with_values:
            if (found := pattern.fullmatch(path)) is not None:
                return verbs, found.groupdict()
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no path {quoted(path)}; /openapi.json lists them")
