"""One default server for all attacks on a transport: what one of them leaves behind, the next one meets."""

from collections.abc import Iterator
from typing import get_args

import pytest

from tests.hostile.served import Bystander, Server, served
from vouch.server.settings import Transport

WITHIN_S = 10.0
"""To end after SIGTERM, whatever was done to it."""


@pytest.fixture(scope="session", params=get_args(Transport))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Whoever asks for this is run over each transport. In the end it drains in time, by the worker that it had."""
    with served(tmp_path_factory.mktemp("served") / "models", request.param) as one:
        workers = one.workers
        yield one
        assert one.workers == workers
        assert one.drained() < WITHIN_S


@pytest.fixture
def bystander(server: Server) -> Iterator[Bystander]:
    one = Bystander(server)
    yield one
    one.close()
