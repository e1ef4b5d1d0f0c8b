"""Importing large libraries sooner."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """For a block that only imports: what comes to be in it stays, and to look through it for garbage again and again
    takes a tenth of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
