"""Counts of all workers, asked over either transport of a whole server."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import grpc
import numpy as np

from bundle.store import ModelsFolder
from protos.inference import inference_pb2
from protos.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from protos.vouch.v1 import classifier_pb2
from protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from server.settings import Transport
from tests.server.test_supervisor import House, children, environment, transport, working
from tests.tiny import publish_tiny, tiny_images

__all__ = ["transport"]  # a fixture
CONNECTIONS = 16
"""The kernel deals them out between two workers: all to one in one of 32,768 tests."""
ALONE = [("grpc.use_local_subchannel_pool", 1)]


async def call_over_many(port: int, images: np.ndarray) -> list[inference_pb2.ModelStatistics]:
    """One call a connection; then what each connection's worker is told of all calls."""
    raw = classifier_pb2.RawImages(pixels=images.tobytes(), shape=images.shape)
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=ALONE) for _ in range(CONNECTIONS)]
    try:
        for channel in channels:
            await ClassifierStub(channel).Predict(classifier_pb2.PredictRequest(raw=raw))
        return [await statistics(GRPCInferenceServiceStub(channel)) for channel in channels]
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def statistics(stub: GRPCInferenceServiceStub) -> inference_pb2.ModelStatistics:
    answer = await stub.ModelStatistics(inference_pb2.ModelStatisticsRequest(name="tiny"))
    (one,) = answer.model_stats
    counted: inference_pb2.ModelStatistics = one
    return counted


async def test_whichever_worker_is_asked_tells_what_all_have_counted(tmp_path: Path, transport: Transport) -> None:
    """Calls over many connections, to two workers, are all there; and still are when one of the two was killed."""
    publish_tiny(ModelsFolder(tmp_path))
    before = children()
    async with working(tmp_path, transport) as house:
        await house.until_serving()
        told = await call_over_many(house.supervisor.port, tiny_images(3)[0])

        assert [(one.inference_count, one.inference_stats.success.count) for one in told] == [(48, 16)] * CONNECTIONS
        assert {sum(batch.compute_infer.count for batch in one.batch_stats) for one in told} == {16}

        workers = [pid for pid in children() - before if b"VOUCH_WORKER" in environment(pid)]
        os.kill(workers[0], signal.SIGKILL)
        assert (await until_answered_by(house)).inference_stats.success.count == 16


async def until_answered_by(house: House) -> inference_pb2.ModelStatistics:
    """A connection to a worker that was killed is lost; another one is made."""
    async with asyncio.timeout(20):
        while True:
            with suppress(grpc.aio.AioRpcError):
                return await statistics(house.inference)
            await asyncio.sleep(0.01)
