from collections.abc import Iterator
from typing import get_args

import pytest

from tests.support.circles import circles
from tests.support.serving import serving, start
from vouch.server.rpc import status
from vouch.server.settings import Transport
from vouch.server.worker import loading

__all__ = ["circles", "serving", "start"]


@pytest.fixture(autouse=True)
def _forget_repeats() -> Iterator[None]:
    """What one test has logged is news to the next."""
    yield
    for repeats in (status.REPEATS, loading.REPEATS):
        repeats.forget()


@pytest.fixture(params=get_args(Transport))
def transport(request: pytest.FixtureRequest) -> Transport:
    """Whoever asks for this is run over each."""
    chosen: Transport = request.param
    return chosen
