import asyncio
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.support.call_status import status
from tests.support.tiny import publish_tiny, tiny_images
from tests.support.whole_server import SERVING, House, working
from vouch.bundle.signature import make_key
from vouch.bundle.store import ModelsFolder
from vouch.protos.inference import inference_pb2
from vouch.server.errors import StartFailed
from vouch.server.settings import ServeSettings, Transport
from vouch.server.supervisor.supervisor import Supervisor


async def test_calls_are_taken_until_balancers_have_noticed(tmp_path: Path, transport: Transport) -> None:
    """With a delay, health and /ready say no first, and what comes meanwhile is answered."""
    async with working(tmp_path, transport, drain_delay_s=1.0) as house:
        assert not house.supervisor.ready
        publish_tiny(ModelsFolder(tmp_path))
        await house.until_serving()
        async with asyncio.timeout(20):
            while not house.supervisor.ready:  # it hears of it a moment later
                await asyncio.sleep(0.01)

        stopping = asyncio.create_task(house.supervisor.stop())
        async with asyncio.timeout(20):
            while (await house.health.Check(health_pb2.HealthCheckRequest())).status == SERVING:
                await asyncio.sleep(0.01)
        assert not house.supervisor.ready
        await house.predict(tiny_images(3)[0])
        counts = await house.inference.ModelStatistics(inference_pb2.ModelStatisticsRequest(name="tiny"))
        assert counts.model_stats[0].inference_count == 3
        assert not stopping.done()
        await stopping


async def test_stopping_answers_accepted_calls_and_takes_no_new_ones(tmp_path: Path, transport: Transport) -> None:
    """A call that was accepted before the drain is answered; ServerReady turns false at once."""
    publish_tiny(ModelsFolder(tmp_path))
    images, _ = tiny_images(10_000)
    async with working(tmp_path, transport) as house:
        await house.until_serving()
        watch = house.health.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        accepted = asyncio.ensure_future(house.predict(images))
        ready = await house.inference.ServerReady(inference_pb2.ServerReadyRequest())
        stopping = asyncio.create_task(house.supervisor.stop())

        assert ready.ready
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert len((await accepted).labels) == 10_000
        await stopping
        assert await status(house.predict(images[:1])) is grpc.StatusCode.UNAVAILABLE


async def test_callers_of_a_server_that_stops_are_answered_or_told_to_go_elsewhere(
    tmp_path: Path, transport: Transport
) -> None:
    """Under load every call ends OK or UNAVAILABLE, which is safe to send again; never CANCELLED."""
    publish_tiny(ModelsFolder(tmp_path))
    images, _ = tiny_images(8)
    codes: set[grpc.StatusCode] = set()
    stopped = asyncio.Event()

    async def call(house: House) -> None:
        while not stopped.is_set():
            try:
                await house.predict(images)
            except grpc.aio.AioRpcError as err:
                codes.add(err.code())
                await asyncio.sleep(0.5)  # as a client backs off, gRPC's own for a second

    async with working(tmp_path, transport) as house:
        await house.until_serving()
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(call(house))
            await house.predict(images)
            await house.supervisor.stop()
            stopped.set()

    assert codes == {grpc.StatusCode.UNAVAILABLE}


async def test_a_missing_models_folder_is_told_at_once(tmp_path: Path) -> None:
    """A typing mistake does not become a server that waits for ever."""
    with pytest.raises(StartFailed, match="the models folder .*nowhere does not exist; vouch train makes one"):
        await Supervisor(ServeSettings(models=tmp_path / "nowhere", port=0, metrics_port=0)).start()


@pytest.mark.parametrize("deep", ["tiny", "tiny/1", "tiny/1/model.onnx"])
async def test_a_models_folder_that_is_none_is_told_at_once(tmp_path: Path, deep: str) -> None:
    """One folder too deep would serve nothing, and wait for ever."""
    publish_tiny(ModelsFolder(tmp_path))
    with pytest.raises(StartFailed, match="expected a models folder, which contains NAME/VERSION"):
        await Supervisor(ServeSettings(models=tmp_path / deep, port=0, metrics_port=0)).start()


async def test_a_key_that_cannot_be_used_is_told_before_anything_is_served(tmp_path: Path) -> None:
    """And not when the first version comes."""
    make_key(tmp_path / "k")
    settings = ServeSettings(models=tmp_path, port=0, metrics_port=0, require_signature=(tmp_path / "k",))

    with pytest.raises(StartFailed, match="k is a private key; expected the public key"):
        await Supervisor(settings).start()
