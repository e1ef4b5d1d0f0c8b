import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.support.serving import Serving
from vouch.server.services.health import HealthListResponse

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


async def test_list_tells_all_services(serving: Serving) -> None:
    """Each that Check knows, with the answer that Check gives, whichever release of the health package is installed."""
    ask: Any = serving.channel.unary_unary(
        "/grpc.health.v1.Health/List", response_deserializer=HealthListResponse.FromString
    )

    before = {name: told.status for name, told in (await ask(b"")).statuses.items()}
    serving.readiness.drain()
    after = {name: told.status for name, told in (await ask(b"")).statuses.items()}

    services = ("", "vouch.v1.Classifier", "inference.GRPCInferenceService")
    assert before == dict.fromkeys(services, SERVING)
    assert after == dict.fromkeys(services, NOT_SERVING)
