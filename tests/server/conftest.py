from collections.abc import Iterator

import pytest

from tests.support.circles import circles
from tests.support.serving import serving, start
from vouch.server.rpc import status
from vouch.server.worker import loading

__all__ = ["circles", "serving", "start"]


@pytest.fixture(autouse=True)
def _forget_repeats() -> Iterator[None]:
    """What one test has logged is news to the next."""
    yield
    for repeats in (status.REPEATS, loading.REPEATS):
        repeats.forget()
