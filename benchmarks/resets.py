"""The effect of missed deadlines on other calls of the same channel: 400 calls of 50 ms, and five with enough time.

    python -m benchmarks.resets      Both transports, a plain channel and our client; under a minute

A call whose deadline passes is reset. Every call takes two seconds here. Prints a table; a row is the sum of several
rounds.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message

from benchmarks.runs import machine
from vouch.client import AsyncClient, CallFailed
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.limits import Listening

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]
RESETS, OTHERS = 400, 5
SHORT_S, LONG_S, ANSWERED_AFTER_S = 0.05, 30.0, 2.0
Call = Callable[[float], Awaitable[object]]
"""With a deadline in seconds."""


class Slow:
    """A service that takes its time."""

    async def Predict(self, request: Message, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        """One answer, later."""
        await asyncio.sleep(ANSWERED_AFTER_S)
        return pb.PredictResponse(model="slow", version=1, top_k=1, labels=["x"], probabilities=[1])

    PredictStream = ListModels = GetModel = Evaluate = Predict


@asynccontextmanager
async def plain(address: str) -> AsyncIterator[Call]:
    """A channel of grpcio's with its defaults."""
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        predict: Any = channel.unary_unary(f"/{SERVICE.full_name}/Predict")
        yield lambda timeout: predict(b"", timeout=timeout)


@asynccontextmanager
async def ours(address: str) -> AsyncIterator[Call]:
    """`AsyncClient`."""
    async with AsyncClient(address) as client:
        yield lambda timeout: client.predict(b"x", timeout_s=timeout)


async def ended(call: Awaitable[object]) -> str:
    """The status that a call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as err:
        return err.code().name
    except CallFailed as err:
        return err.code.name
    return "OK"


async def one_round(call: Call) -> tuple[Counter[str], Counter[str]]:
    """How the others ended, and those whose deadlines were meant to pass."""
    others = [asyncio.create_task(ended(call(LONG_S))) for _ in range(OTHERS)]
    await asyncio.sleep(0.2)
    short = await asyncio.gather(*(ended(call(SHORT_S)) for _ in range(RESETS)))
    return Counter(await asyncio.gather(*others)), Counter(short)


async def measure(rounds: int) -> int:
    """Prints the rows; how many calls our client lost that had time enough."""
    lost = 0
    for transport, start in (("h2corn", start_h2corn), ("grpcio", start_grpcio)):
        server = await start(methods(SERVICE, Slow()), Gate(), Listening())
        for name, client in (("grpcio's channel", plain), ("AsyncClient", ours)):
            sums: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
            for _ in range(rounds):
                async with client(f"127.0.0.1:{server.port}") as call:
                    for counted, more in zip(sums, await one_round(call), strict=True):
                        counted.update(more)
            cells = (", ".join(f"{how} {count:,}" for how, count in one.most_common()) for one in sums)
            print(f"| {transport} | {name} | {' | '.join(cells)} |", flush=True)
            lost += sums[0].total() - sums[0]["OK"] if client is ours else 0
        await server.stop()
    return lost


def main() -> int:
    """Returns 1 if our client lost a call that had enough time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"| server | client | {rounds * OTHERS} others | {rounds * RESETS:,} of {SHORT_S * 1000:g} ms |")
    print("|---|---|---|---|")
    lost = asyncio.run(measure(rounds))
    print(f"\n{machine()}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
