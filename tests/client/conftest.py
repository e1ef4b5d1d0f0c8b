import pytest

from tests.support.serving import Start, serving
from vouch.server.transport.grpcio import start_grpcio

__all__ = ["serving"]


@pytest.fixture
def start() -> Start:
    """Commands are tested over one transport; the clients themselves are over each."""
    return start_grpcio
