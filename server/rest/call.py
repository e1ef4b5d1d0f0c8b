"""An HTTP request as a call of one of our methods: reads it into the method's message, and writes the response."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import orjson

from vouch.server.budget import Hold
from vouch.server.errors import Unsupported
from vouch.server.rest.content import Content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.problem import http_status, problem, problem_value
from vouch.server.rest.route import Asked, Route
from vouch.server.rpc.method import Serialized
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.status import Status
from vouch.server.rpc.waiting import CallerLeft, until
from vouch.server.services.cost import too_long

AT_ONCE_BYTES = 1 << 14
"""Messages up to this size are written as JSON on the event loop: about half a millisecond."""
LINES = [(b"content-type", b"application/x-ndjson")]


class RestCall(Exchange):
    """A `TransportCall` over HTTP."""

    _asked: Asked
    _hold: Hold

    def route_to(self, route: Route, values: dict[str, str]) -> None:
        """Sets its route, and the values in its path."""
        self._route = route
        self._values = values

    def check(self) -> None:
        """Accepts every call: HTTP requests are checked when they are read."""

    async def one(self, hold: Hold) -> Serialized:
        """The method's message for this request."""
        self._hold = hold
        async with until(self.deadline()):
            self._asked = await self._route.read(self, self._values, hold)
        return self._asked.request

    def pieces(self, hold: Hold) -> AsyncIterator[Sequence[Serialized]]:
        """Not supported: no route leads to a client-streaming method."""
        raise Unsupported(f"{self._route.rpc} takes a stream of messages")

    async def write(self, *messages: Parts) -> None:
        """Sends messages of a stream, each as a line of JSON."""
        if not self.has_begun:
            await self.begin(200, LINES)
        for parts in messages:
            await self.more(self._asked.write(b"".join(parts)).body + b"\n")

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """Ends the response, with the message of a unary method. Raises InvalidRequest, Overloaded: it does not fit."""
        if last is None:
            if not self.has_begun:
                await self.begin(200, LINES)
            await self.more(b"", ends=True)
            return
        await self.answer(await self._written(b"".join(last)))

    async def fail(self, status: Status) -> None:
        """Ends the response with an error; does nothing if the caller has left."""
        code = http_status(status)
        with suppress(CallerLeft):
            if self.has_begun:
                await self.more(orjson.dumps({"problem": problem_value(code, status.message)}) + b"\n", ends=True)
            else:
                await self.answer(problem(code, status.message))

    async def _written(self, message: bytes) -> Content:
        if len(message) <= AT_ONCE_BYTES:
            return self._asked.write(message)
        self._hold.take("answers", len(message) * self._asked.growth)
        content = await asyncio.to_thread(self._asked.write, message)
        if len(content.body) > self.intake.max_message_bytes:
            raise too_long(self.intake.max_message_bytes)
        return content
