"""What several callers are told of one failure: the same, each by an exception of its own.

One that several tasks raise gathers all of their tracebacks, and is never small again.
"""

import asyncio
import traceback
from collections.abc import Sequence

import numpy as np
import pytest

from vouch.server.errors import Closed, DomainError, ModelFailed
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.request import Model, Rows

CALLERS = 20
IMAGES = np.zeros((1, 2), np.uint8)


def raises(_: Sequence[np.ndarray]) -> Rows:
    raise OSError("the reason")


def loses_rows(_: Sequence[np.ndarray]) -> Rows:
    return (np.zeros((0, 3)),)


async def told(batcher: Batcher) -> list[DomainError]:
    """What so many callers at once are told."""
    ends = await asyncio.wait_for(
        asyncio.gather(*(batcher.submit(IMAGES) for _ in range(CALLERS)), return_exceptions=True), 30
    )
    return [end for end in ends if isinstance(end, DomainError)]


def check_apart(errors: list[DomainError]) -> None:
    """Nobody's exception is another's, nor longer by it."""
    lengths = {len(traceback.extract_tb(error.__traceback__)) for error in errors}

    assert len(errors) == len({id(error) for error in errors})
    assert len({str(error) for error in errors}) == 1
    assert max(lengths) < CALLERS


@pytest.mark.parametrize("inline_images", [0, 100], ids=["in the thread", "on the loop"])
@pytest.mark.parametrize("run", [raises, loses_rows])
async def test_callers_of_a_run_that_fails_share_its_reason_alone(run: Model, inline_images: int) -> None:
    """It is the cause of each, with the traceback of the run."""
    batcher = start_batcher(run, Limits(CALLERS, 100, inline_images))
    errors = await told(batcher)
    await batcher.close()

    check_apart(errors)
    assert {type(error) for error in errors} == {ModelFailed}
    assert len(errors) == CALLERS
    assert all(error.__cause__ is not None and error.__cause__.__traceback__ is not None for error in errors)


async def test_callers_whose_runner_ends_are_told_apart() -> None:
    """Those that waited when it ended, and those who come afterwards."""
    batcher = start_batcher(raises, Limits(1, 100))
    waiting = asyncio.create_task(told(batcher))
    await asyncio.sleep(0)
    batcher._runners[0].cancel()
    errors = await waiting
    later = [*await told(batcher), *await told(batcher)]
    await batcher.close()

    assert len(errors) == CALLERS
    assert len(later) == 2 * CALLERS
    check_apart([*errors, *later])


async def test_callers_of_a_version_that_is_no_longer_served_are_told_apart() -> None:
    """However many there are, for however long."""
    batcher = start_batcher(raises, Limits(1, 100))
    await batcher.close()
    errors = [*await told(batcher), *await told(batcher)]

    assert {type(error) for error in errors} == {Closed}
    check_apart(errors)
