import pytest

from server.transport.grpcio import start_grpcio
from tests.relay import Start


@pytest.fixture
def start() -> Start:
    """One transport is enough to measure against."""
    return start_grpcio
