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
"""Without a deadline, grpcio reports one that is centuries away."""


class GrpcioCall:
    """The two directions of a call. Its end is stored until its handler returns, and grpcio sends it then.

    Grpcio does not report whether it could send a unary answer, so one whose caller leaves at that moment counts as
    answered. Writing it separately, as in streams, would cost every call a second round through gRPC's core.
    """

    left = None
    """Grpcio cancels the task of a caller who has left."""

    def __init__(self, request: Any, context: grpc.aio.ServicerContext[Any, Any], intake: Intake) -> None:
        """
        Args:
            request: the bytes of a unary request; for a stream, an async iterator of bytes.
        """
        self._request = request
        self._context = context
        self._intake = intake
        self._headers: Sequence[tuple[str, str | bytes]] = context.invocation_metadata() or ()  # type: ignore[assignment]
        """Read now, like the peer: grpcio crashes if they are read later."""
        self.peer = context.peer()
        self._left = False
        self._last: bytes | None = None
        self._status: Status | None = None

    def check(self) -> None:
        """Does nothing: gRPC's core has checked the call."""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """The values of one of the caller's own headers."""
        return () if is_reserved(name) else tuple(value for key, value in self._headers if key == name)

    def deadline(self) -> float | None:
        """In the event loop's time."""
        left = self._context.time_remaining()  # by the wall clock: read once, on arrival
        return None if left is None or left > YEARS_S else asyncio.get_running_loop().time() + left

    async def one(self, hold: Hold) -> Serialized:
        """The only message of a unary request; the hold keeps its bytes."""
        return await self._taken(self._request, hold)

    async def pieces(self, hold: Hold) -> AsyncIterator[tuple[Serialized]]:
        """All messages, one at a time; the hold keeps its bytes until the next one is requested."""
        async for message in self._request:
            taken = await self._taken(message, hold)
            del message  # or a quiet stream would keep it in memory
            yield (taken,)
            del taken
            hold.end()

    async def _taken(self, message: bytes, hold: Hold) -> Serialized:
        """The decompressed message. Its first bytes show the encoding, because grpcio hides that header."""
        if len(message) > FREE_BYTES:
            hold.take("received", len(message))
        if not message.startswith(COMPRESSED):
            return message
        return await self._intake.inflater.inflated(message, encoding_of(message), hold, self.peer)

    async def write(self, *messages: Parts) -> None:
        """Sends messages of a stream. Raises CallerLeft."""
        for parts in messages:
            try:
                await self._context.write(b"".join(parts))
            except Exception as err:  # grpcio raises several types
                self._left = True
                raise CallerLeft from err

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """Ends the call, with the only message of a unary response."""
        if trailers:
            self._context.set_trailing_metadata(trailers)
        self._last = None if last is None else b"".join(last)

    async def fail(self, status: Status) -> None:
        """Ends the call with an error."""
        self._status = status

    async def answer(self) -> bytes | None:
        """The handler's return value.

        Raises:
            CancelledError: the caller has left.
            Exception: grpcio's own, which ends the call with its error.
        """
        if self._left:
            raise asyncio.CancelledError
        if self._status is not None:
            await self._context.abort(STATUS_CODES[self._status.code], self._status.message)
        return self._last
