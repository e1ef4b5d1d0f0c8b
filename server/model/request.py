"""A caller's request to a batcher, and the slices in which it is run."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vouch.server.errors import DomainError, UnusableAnswer

Rows = tuple[np.ndarray, ...]
"""The outputs of a run: arrays with one row per image."""
Model = Callable[[Sequence[np.ndarray]], Rows]
"""Parts, each of shape (n, ...) -> rows, in the order of the parts. Blocks."""
Unusable = np.ndarray | None
"""Which rows of a run are unusable: bool, shape (N,); None if all are usable."""


@dataclass(eq=False, slots=True)
class Request:
    """Images of one caller, and their rows as they arrive."""

    images: np.ndarray
    deadline: float | None
    """In the event loop's time."""
    answer: asyncio.Future[Rows]
    submitted_ns: int = field(default_factory=time.perf_counter_ns)
    due: float = 0.0
    """When it stops waiting for other callers' images, in the event loop's time."""
    taken: int = 0
    """Number of images already given to a run."""
    running: int = 0
    """Number of runs that have some of its images now."""
    given_up: bool = False
    """Its caller has an answer, or no longer waits."""
    rows: Rows = ()
    """Rows of all its images, if they come from several runs; filled as the runs end, in any order, so that the last
    one copies no more than the others."""
    filled: int = 0
    """Number of images whose rows have arrived."""

    @property
    def left(self) -> int:
        """Number of images that no run has taken yet."""
        return len(self.images) - self.taken

    def is_filled_by(self, images: int) -> bool:
        """Whether the rows of this many more images complete it."""
        return self.filled + images == len(self.images)

    def add(self, part: Rows, start: int) -> None:
        """Stores the rows of some images, from `start` on; the last ones complete the answer."""
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
        """Fails the request, unless it is answered."""
        if not self.answer.done():
            self.answer.set_exception(failure)


@dataclass(eq=False, slots=True)
class Slice:
    """Some images of one request, as part of a batch."""

    request: Request
    images: np.ndarray
    start: int = 0
    """Index of its first image within the request."""


def for_one_caller(failure: DomainError) -> DomainError:
    """A copy of a shared failure for one caller: the traceback of a shared exception would grow with each raise."""
    own = type(failure)(*failure.args)
    own.__cause__ = failure.__cause__ or failure
    return own


def no_answer(unusable: Unusable, rows: slice, start: int = 0) -> UnusableAnswer | None:
    """The error if images of these rows have no usable answer; None if all have.

    Args:
        rows: rows of a run.
        start: index of their first image within its request.
    """
    if unusable is None or not (found := np.flatnonzero(unusable[rows])).size:
        return None
    more = f", nor to {len(found) - 1:,} more" if len(found) > 1 else ""
    return UnusableAnswer(
        f"the model has no usable answer to image {start + found[0]} (the first is 0){more}: its values are not "
        "finite or are no probabilities"
    )
