"""HTTP without gRPC as an ASGI application: finds the path, and answers it as a call or as a page."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from time import perf_counter_ns

import orjson

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import DomainError
from vouch.server.rest.call import RestCall
from vouch.server.rest.content import Content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.guard import Guard
from vouch.server.rest.openapi import PATH, document
from vouch.server.rest.problem import CODES, Refused, http_status, problem
from vouch.server.rest.route import Page, Route, Routes
from vouch.server.rest.table import rest_routes
from vouch.server.rpc.call import Calls
from vouch.server.rpc.status import status_of
from vouch.server.rpc.waiting import CallerLeft
from vouch.server.transport.asgi_request import Receive, Scope, Send
from vouch.server.transport.intake import Intake


class RestApp:
    """Answers each request. An ASGI application without the lifespan protocol."""

    def __init__(self, calls: Calls, intake: Intake, guard: Guard, pages: Sequence[Page] = ()) -> None:
        """
        Args:
            intake: limits and budget for incoming requests.
            pages: paths in addition to REST's.
        """
        self._calls = calls
        self._intake = intake
        self._guard = guard
        routes = rest_routes()
        self._document = orjson.dumps(document(routes))
        described = Page("GET", PATH, self._describe, "All REST paths, with the schemas of requests and answers")
        self._routes = Routes([*routes, described, *pages])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of ASGI's type `http`."""
        began_ns = perf_counter_ns()
        call = RestCall(scope, receive, send, self._intake)
        try:
            preflight = self._guard.check(call)
            if preflight is None:
                route, values = self._routes.find(call.verb, call.path)
                if isinstance(route, Route):
                    call.route_to(route, values)
                    await self._calls.answer(route.rpc, call)
                    return
                content = await _page(route, call, values)
            else:
                content = preflight
        except Refused as err:
            content = problem(err.status, str(err), err.headers)
        except CallerLeft:
            return
        with self._calls.hold() as hold:
            content = _within(content, hold)
            try:
                await call.answer(content)
            except CallerLeft:
                return
            finally:
                self._calls.count_stranger(began_ns, content.status < HTTPStatus.BAD_REQUEST)

    async def _describe(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        return Content(self._document)


def _within(content: Content, hold: Hold) -> Content:
    """The content to send, whose bytes the hold takes; or a problem if there is no room for it."""
    try:
        if len(content.body) > FREE_BYTES:
            hold.take("answers", len(content.body))
    except DomainError as err:
        return problem(CODES[type(err)], str(err))
    return content


async def _page(page: Page, exchange: Exchange, values: Mapping[str, str]) -> Content:
    """Raises Refused."""
    try:
        return await page.answer(exchange, values)
    except (Refused, CallerLeft):
        raise
    except Exception as err:
        status = status_of(err, page.path)
        return problem(http_status(status), status.message)
