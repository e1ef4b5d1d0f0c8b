import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from tests.serving import Serving

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING


async def test_check_follows_readiness(serving: Serving) -> None:
    """The whole server and each service answer alike; a service that is not here is NOT_FOUND."""
    stub = HealthStub(serving.channel)
    services = ("", "vouch.v1.Classifier")

    before = [(await stub.Check(pb.HealthCheckRequest(service=name))).status for name in services]
    serving.readiness.set(False)
    after = [(await stub.Check(pb.HealthCheckRequest(service=name))).status for name in services]

    assert (before, after) == ([SERVING] * 2, [NOT_SERVING] * 2)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stub.Check(pb.HealthCheckRequest(service="other.Service"))
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watch_tells_each_change_and_ends_with_the_server(serving: Serving) -> None:
    """A watcher sees ready, not ready, ready, and NOT_SERVING as the last word when the server drains."""
    watch = aiter(HealthStub(serving.channel).Watch(pb.HealthCheckRequest()))
    seen = [(await anext(watch)).status]
    for ready in (False, True):
        serving.readiness.set(ready)
        seen.append((await anext(watch)).status)
    serving.readiness.drain()

    async with asyncio.timeout(10):
        seen += [response.status async for response in watch]
    assert seen == [SERVING, NOT_SERVING, SERVING, NOT_SERVING]


async def test_reflection_lists_the_services_and_their_files(serving: Serving) -> None:
    """A tool without .proto files finds out what there is to call."""
    stub = ServerReflectionStub(serving.channel)
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="vouch.v1.Classifier"),
    ]

    answers = [answer async for answer in stub.ServerReflectionInfo(iter(questions))]

    assert {service.name for service in answers[0].list_services_response.service} >= {
        "vouch.v1.Classifier",
        "inference.GRPCInferenceService",
    }
    assert b"PredictStream" in answers[1].file_descriptor_response.file_descriptor_proto[0]
