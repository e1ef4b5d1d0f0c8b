"""Errors that only the collector of garbage would free: what a call held would stay until it runs."""

import gc
from collections.abc import Callable, Iterator

import pytest

from vouch.server.errors import DomainError


@pytest.fixture
def circles() -> Iterator[Callable[[], list[str]]]:
    """Gives the errors of ours that have led back to themselves since the test began."""

    def found() -> list[str]:
        gc.collect()
        return [str(one) for one in gc.garbage if isinstance(one, DomainError)]

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
