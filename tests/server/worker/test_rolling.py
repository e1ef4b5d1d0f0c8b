"""Workers that are replaced, and servers that are restarted on their port, while others call without a pause."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from tests.server.transport.echo import PREDICT, echo
from tests.support.serving import Start
from tests.support.tiny import publish_tiny, tiny_images
from tests.support.whole_server import working
from vouch.bundle.store import ModelsFolder
from vouch.client import AsyncClient, CallFailed
from vouch.server.serving.gate import Gate
from vouch.server.settings import Transport
from vouch.server.supervisor.port import ReservedPort
from vouch.server.transport.limits import Listening


async def calls_until(ended: asyncio.Event, address: str, images: np.ndarray) -> Counter[str]:
    """How calls of our client ended, some over connections that stay and some over ever new ones."""
    counted: Counter[str] = Counter()

    async def call(client: AsyncClient) -> None:
        try:
            await client.predict(images, timeout_s=20)
            counted["OK"] += 1
        except CallFailed as err:
            counted[str(err)] += 1

    async def on_one() -> None:
        async with AsyncClient(address) as client:
            while not ended.is_set():
                await call(client)

    async def on_many() -> None:
        while not ended.is_set():
            async with AsyncClient(address) as client:
                await call(client)

    await asyncio.gather(*(on_one() for _ in range(3)), *(on_many() for _ in range(2)))
    return counted


async def test_no_call_is_lost_when_workers_are_replaced_one_after_the_other(
    tmp_path: Path, transport: Transport
) -> None:
    """The other one answers meanwhile; each has drained, and its successor serves.

    grpcio's closes its listener under the connections that are just being made, so that a few are.
    """
    publish_tiny(ModelsFolder(tmp_path))
    images, _ = tiny_images(3)
    async with working(tmp_path, transport) as house:
        await house.until_serving()
        pool, ended = house.supervisor._pool, asyncio.Event()
        assert pool is not None
        calling = asyncio.create_task(calls_until(ended, f"127.0.0.1:{house.supervisor.port}", images))
        async with asyncio.timeout(60):
            while pool.ready_workers < 2:
                await asyncio.sleep(0.05)
            for number, slot in enumerate(pool._slots, 1):
                await asyncio.sleep(0.5)
                slot.replace("a test")
                while pool.restarts < number or pool.ready_workers < 2:
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        ended.set()
        counted = await calling

    lost = counted.total() - counted["OK"]
    assert lost <= (0.02 * counted.total() if transport == "grpcio" else 0), counted
    assert counted.total() > 100


async def test_a_server_is_restarted_on_its_port_at_once(start: Start) -> None:
    """Though it was the one to close its connections, which Linux remembers for a minute."""
    port = 0
    for number in range(3):
        with ReservedPort("127.0.0.1", port) as reserved:
            port = reserved.port
            server = await start(echo(), Gate(), Listening(port=port, shared=True))
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("test.number", number)]) as channel:
                predict: Any = channel.unary_unary(PREDICT)
                await predict(b"", timeout=10)
                await server.stop()
