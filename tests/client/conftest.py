import pytest

from tests.relay import Start
from tests.serving import running_envoy, serving
from vouch.server.transport.grpcio import start_grpcio

__all__ = ["running_envoy", "serving"]


@pytest.fixture
def start() -> Start:
    """Commands are tested over one transport; the clients themselves are over each."""
    return start_grpcio
