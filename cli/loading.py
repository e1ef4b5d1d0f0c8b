"""Importing large libraries sooner."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """For a block that only imports, in a program of our own: what comes to be in it stays. To look through it for
    garbage again and again takes a tenth of the time, and to do so once behind the block, and at the end of the
    process, another tenth. What is alive already is left out from then on as well; where nothing is loaded, as in a
    program of somebody else's that has loaded all of it, everything stays as it is.
    """
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:  # else what is there is not what was loaded
            gc.freeze()
        gc.enable()
