"""A service that answers with the model's name, for tests of what is before it."""

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.message import Message

from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method, methods

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]
PREDICT, STREAM = f"/{SERVICE.full_name}/Predict", f"/{SERVICE.full_name}/PredictStream"


class Echo:
    """Answers after some time."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        await asyncio.sleep(self.delay_s)
        return pb.PredictResponse(model=request.model)

    async def PredictStream(  # noqa: N802
        self, requests: AsyncIterator[pb.PredictStreamRequest], context: CallContext
    ) -> AsyncIterator[pb.PredictStreamResponse]:
        async for request in requests:
            yield pb.PredictStreamResponse(id=request.id)

    async def _unused(self, request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    ListModels = GetModel = Evaluate = _unused


def echo(delay_s: float = 0.0) -> list[Method]:
    """Its table."""
    return methods(SERVICE, Echo(delay_s))
