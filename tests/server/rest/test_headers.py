"""The OpenAPI document names the headers that the code reads, no more and no fewer."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.server.rest.conftest import Rest
from tests.server.rest.test_predict import png
from tests.support.tiny import tiny_images
from vouch.server.rest import exchange
from vouch.server.rest.guard import ALLOWED_HEADERS
from vouch.server.rest.headers import ACCEPT_ENCODING
from vouch.server.rest.openapi import document
from vouch.server.rest.route import Route
from vouch.server.rest.table import rest_routes
from vouch.server.transport.asgi_request import AsgiRequest

NOT_DOCUMENTED = {"content-type", "content-length", "host", "origin"}
"""OpenAPI has the body's type elsewhere; the others belong to HTTP and to browsers."""
PATHS = document(rest_routes())["paths"]


class Noting(dict[bytes, bytes]):
    """A request's headers, which note what is asked of them."""

    asked: set[str]

    def get(self, key: bytes, default: Any = None) -> Any:
        self.asked.add(key.decode())
        return super().get(key, default)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the headers that the code has asked for."""
    begin: Callable[..., None] = AsgiRequest.__init__
    names = set[str]()

    def begin_noting(self: AsgiRequest, *args: Any) -> None:
        begin(self, *args)
        self._headers = Noting(self._headers)
        self._headers.asked = names

    monkeypatch.setattr(AsgiRequest, "__init__", begin_noting)
    monkeypatch.setattr(exchange, "WORTH_GZIP_BYTES", 0)  # or a short answer asks nobody what they take
    return names


def documented(route: Route) -> set[str]:
    parameters = PATHS[route.path][route.verb.lower()]["parameters"]
    return {one["name"] for one in parameters if one["in"] == "header"}


@pytest.mark.parametrize("route", rest_routes(), ids=lambda route: f"{route.verb} {route.path}")
async def test_the_document_names_the_headers_that_are_read(rest: Rest, asked: set[str], route: Route) -> None:
    """Of each path, for an answer and for a problem: a stream is never compressed, the problem in its place may be."""
    for model in ("tiny", "cats"):
        await rest.ask(route.verb, route.path.format(model=model, version=1), png(tiny_images(1)[0][0]))

    assert asked - NOT_DOCUMENTED == documented(route)


def test_pages_of_another_origin_may_send_the_headers_that_are_read() -> None:
    """All but the one that a browser sets itself."""
    read = {header.name for route in rest_routes() for header in route.headers} - {ACCEPT_ENCODING.name}

    assert set(ALLOWED_HEADERS) == {"content-type", *read}
