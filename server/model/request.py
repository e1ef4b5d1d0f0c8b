"""What a caller has submitted to a batcher, and the parts in which it is run."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vouch.server.errors import DomainError, UnusableAnswer

Rows = tuple[np.ndarray, ...]
"""The outputs of a run: arrays that have one row per image."""
Model = Callable[[Sequence[np.ndarray]], Rows]
"""Parts in, each of shape (n, ...), rows out, in the order of the parts. Blocks."""
Unusable = np.ndarray | None
"""Which rows of a run are no answer: bool, shape (N,); None where all are."""


@dataclass(eq=False, slots=True)
class Request:
    """Some images of one caller, until their rows are there."""

    images: np.ndarray
    deadline: float | None
    """In the event loop's time."""
    answer: asyncio.Future[Rows]
    submitted_ns: int = field(default_factory=time.perf_counter_ns)
    due: float = 0.0
    """In the event loop's time: it waits no longer for others' images."""
    taken: int = 0
    """Images already handed to a run."""
    running: int = 0
    """Runs that have some of its images now."""
    given_up: bool = False
    """Its caller has an answer, or waits no more."""
    rows: Rows = ()
    """Of all its images, where they come from several runs; filled as those end, in any order, so that the last copies
    no more than the others."""
    filled: int = 0
    """The images whose rows are there."""

    @property
    def left(self) -> int:
        """Images that no run has taken yet."""
        return len(self.images) - self.taken

    def is_filled_by(self, images: int) -> bool:
        """The rows of so many more images are all that it lacks."""
        return self.filled + images == len(self.images)

    def add(self, part: Rows, start: int) -> None:
        """The rows of some images, from `start` on; with the last of them it is answered."""
        if self.answer.done():
            return
        count = len(part[0])
        if count == len(self.images):
            self.answer.set_result(part)
            return
        if not self.filled:
            self.rows = tuple([np.empty((len(self.images), *values.shape[1:]), values.dtype) for values in part])
        for rows, values in zip(self.rows, part, strict=True):
            rows[start : start + count] = values
        self.filled += count
        if self.is_filled_by(0):
            self.answer.set_result(self.rows)

    def fail(self, failure: DomainError) -> None:
        """There will be no rows."""
        if not self.answer.done():
            self.answer.set_exception(failure)


@dataclass(eq=False, slots=True)
class Slice:
    """Some images of one request, as part of a batch."""

    request: Request
    images: np.ndarray
    start: int = 0
    """Its first image among the request's."""


def for_one_caller(failure: DomainError) -> DomainError:
    """A failure that several share, for one of them: an exception that each of them raises would grow by every one."""
    own = type(failure)(*failure.args)
    own.__cause__ = failure.__cause__ or failure
    return own


def no_answer(unusable: Unusable, rows: slice, start: int = 0) -> UnusableAnswer | None:
    """Why the images of these rows have no answer; None where they have.

    Args:
        rows: of a run.
        start: the first of them among its request's images.
    """
    if unusable is None or not (found := np.flatnonzero(unusable[rows])).size:
        return None
    more = f", nor to {len(found) - 1:,} more" if len(found) > 1 else ""
    return UnusableAnswer(
        f"the model has no usable answer to image {start + found[0]} (the first is 0){more}: its values are not "
        "finite, or no probabilities"
    )
