"""A caller of the ASGI application, without a socket, and a service that answers it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.protobuf.message import Message

from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import UNBOUNDED, Budget
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.call import Calls
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method, methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.asgi import App
from vouch.server.transport.asgi_request import Event
from vouch.server.transport.intake import Intake

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]
PREDICT = f"/{SERVICE.full_name}/Predict"
MAX_MESSAGE_BYTES, MAX_ANSWER_BYTES = 1000, 1_000_000


class Echo:
    """Answers with the model's name; its stream ends when nobody listens."""

    def __init__(self) -> None:
        self.context = CallContext()
        self.hang = False
        self.refuses = False
        self.times = 1
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.context = context
        self.began.set()
        try:
            if self.refuses:
                raise InvalidRequest("refused")
            if self.hang:
                await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return pb.PredictResponse(model=request.model * self.times)

    async def Evaluate(  # noqa: N802
        self, request: pb.EvaluateRequest, context: CallContext
    ) -> AsyncIterator[pb.EvaluateResponse]:
        try:
            yield pb.EvaluateResponse(model=request.model)
            self.began.set()
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def _unused(self, request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    ListModels = GetModel = PredictStream = _unused


def app(table: Iterable[Method], budget: Budget = UNBOUNDED) -> App:
    return App(Calls(table, Gate(), MAX_ANSWER_BYTES, budget=budget), Intake(MAX_MESSAGE_BYTES))


class Caller:
    """One call as an ASGI server would make it."""

    def __init__(self, *chunks: bytes, path: str = PREDICT, **headers: str) -> None:
        self.echo = Echo()
        self.sent: list[Event] = []
        self.gone = asyncio.Event()
        self._chunks = list(chunks)
        named = {"content-type": "application/grpc", "te": "trailers"} | headers
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
            "client": ("::1", 5),
            "extensions": {"http.response.trailers": {}},
        }

    async def receive(self) -> Event:
        if not self._chunks:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._chunks.pop(0), "more_body": bool(self._chunks)}

    async def send(self, event: Event) -> None:
        if self.gone.is_set():
            raise OSError("gone")
        self.sent.append(event)

    async def call(self) -> "Caller":
        await app(methods(SERVICE, self.echo))(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> tuple[int, str]:
        """grpc-status and grpc-message, wherever they stand."""
        headers = dict(header for event in self.sent for header in event.get("headers", ()))
        return int(headers[b"grpc-status"]), headers.get(b"grpc-message", b"").decode()

    @property
    def answer(self) -> str:
        body = b"".join(event.get("body", b"") for event in self.sent)
        assert int.from_bytes(body[1:5], "big") == len(body) - 5
        return pb.PredictResponse.FromString(body[5:]).model


def framed(content: bytes, compressed: bool = False) -> bytes:
    return bytes([compressed]) + len(content).to_bytes(4, "big") + content


REQUEST = pb.PredictRequest(model="tiny").SerializeToString()
