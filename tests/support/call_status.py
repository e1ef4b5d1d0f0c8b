"""The status of a call that fails."""

from collections.abc import Awaitable
from typing import Any

import grpc
import pytest


async def status(call: Awaitable[Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code()
