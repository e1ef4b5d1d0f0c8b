"""A whole server with its worker and probe processes, within a test's event loop."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from vouch.protos.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from vouch.server.settings import ServeSettings, Transport
from vouch.server.supervisor.supervisor import Supervisor

SERVING = health_pb2.HealthCheckResponse.SERVING


class House:
    """A whole server on a free port, with its worker and probe processes, and what a client needs to talk to it."""

    def __init__(self, supervisor: Supervisor, workers: int, channel: grpc.aio.Channel) -> None:
        self.supervisor = supervisor
        self._workers = workers
        self.classifier = ClassifierStub(channel)
        self.inference = GRPCInferenceServiceStub(channel)
        self.health = HealthStub(channel)

    async def until_serving(self) -> None:
        """Waits for the worker that answers, then for the others: a new connection may go to any of them."""
        async with asyncio.timeout(30):
            async for response in self.health.Watch(health_pb2.HealthCheckRequest()):
                if response.status == SERVING:
                    break
            while self.supervisor._pool is not None and self.supervisor._pool.ready_workers < self._workers:
                await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[pb.Model], bool]) -> pb.Model:
        async with asyncio.timeout(30):
            while not holds(model := await self.model()):
                await asyncio.sleep(0.01)
        return model

    async def model(self) -> pb.Model:
        model: pb.Model = (await self.classifier.GetModel(pb.GetModelRequest(model="tiny"))).model
        return model

    def predict(self, images: np.ndarray) -> Awaitable[pb.PredictResponse]:
        raw = pb.RawImages(pixels=images.tobytes(), shape=images.shape)
        call: Awaitable[pb.PredictResponse] = self.classifier.Predict(pb.PredictRequest(raw=raw))
        return call


@asynccontextmanager
async def working(models: Path, transport: Transport = "h2corn", **fields: Any) -> AsyncIterator[House]:
    settings = ServeSettings(
        models=models,
        port=0,
        metrics_port=0,
        scan_interval_s=0.05,
        grace_s=10,
        transport=transport,
        **{"workers": 2} | fields,
    )
    supervisor = Supervisor(settings)
    await supervisor.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{supervisor.port}") as channel:
        yield House(supervisor, settings.workers, channel)
        await supervisor.stop()


def children() -> set[int]:
    """Processes of this one."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def environment(pid: int) -> bytes:
    """Of a process."""
    return Path(f"/proc/{pid}/environ").read_bytes()
