"""One call over grpcio: the messages of its request and of its response, its headers, its deadline, its end."""

from __future__ import annotations  # grpcio's classes are generic in its stubs only

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.rpc.context import is_reserved
from vouch.server.rpc.method import Serialized
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.status import Status
from vouch.server.rpc.waiting import CallerLeft
from vouch.server.transport.inflating import COMPRESSED, encoding_of
from vouch.server.transport.intake import Intake

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
YEARS_S = 10 * 365 * 86_400
"""Without a deadline grpcio tells of one that is centuries away."""


class GrpcioCall:
    """The two directions of a call. What ends it is kept until its handler returns: grpcio takes it from there.

    It tells nobody whether it could send a unary answer. One whose caller leaves in that moment counts as answered: to
    write it by itself, as those of streams are, would cost every call a second round through gRPC's core.
    """

    left = None
    """Grpcio cancels the task of a caller who has left."""

    def __init__(self, request: Any, context: grpc.aio.ServicerContext[Any, Any], intake: Intake) -> None:
        """
        Args:
            request: of a unary request its bytes; else what yields them.
        """
        self._request = request
        self._context = context
        self._intake = intake
        self._headers: Sequence[tuple[str, str | bytes]] = context.invocation_metadata() or ()  # type: ignore[assignment]
        """Read now: grpcio crashes where it is asked after the call. The same holds for the peer."""
        self.peer = context.peer()
        self._left = False
        self._last: bytes | None = None
        self._status: Status | None = None

    def check(self) -> None:
        """All that comes so far can be answered: gRPC's core has looked."""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """The values of a header of the caller's own."""
        return () if is_reserved(name) else tuple(value for key, value in self._headers if key == name)

    def deadline(self) -> float | None:
        """In the event loop's time."""
        left = self._context.time_remaining()  # by the wall clock: read once, on arrival
        return None if left is None or left > YEARS_S else asyncio.get_running_loop().time() + left

    async def one(self, hold: Hold) -> Serialized:
        """The only message of a unary request; its bytes stay in the hold."""
        return await self._taken(self._request, hold)

    async def pieces(self, hold: Hold) -> AsyncIterator[tuple[Serialized]]:
        """All messages, one at a time; its bytes are in the hold until the next one is asked for."""
        async for message in self._request:
            taken = await self._taken(message, hold)
            del message  # or a stream that is quiet would keep it
            yield (taken,)
            del taken
            hold.end()

    async def _taken(self, message: bytes, hold: Hold) -> Serialized:
        """What it holds: its headers are not known, grpcio keeps them to itself."""
        if len(message) > FREE_BYTES:
            hold.take("received", len(message))
        if not message.startswith(COMPRESSED):
            return message
        return await self._intake.inflater.inflated(message, encoding_of(message), hold, self.peer)

    async def write(self, *messages: Parts) -> None:
        """Messages of a stream. Raises CallerLeft."""
        for parts in messages:
            try:
                await self._context.write(b"".join(parts))
            except Exception as err:  # grpcio has several for it
                self._left = True
                raise CallerLeft from err

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """The end, with the only message of a unary answer."""
        if trailers:
            self._context.set_trailing_metadata(trailers)
        self._last = None if last is None else b"".join(last)

    async def fail(self, status: Status) -> None:
        """The end by an error."""
        self._status = status

    async def answer(self) -> bytes | None:
        """What the handler returns.

        Raises:
            CancelledError: the caller has left.
            Exception: grpcio's, which ends the call by its error.
        """
        if self._left:
            raise asyncio.CancelledError
        if self._status is not None:
            await self._context.abort(STATUS_CODES[self._status.code], self._status.message)
        return self._last
