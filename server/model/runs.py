"""Runs of a model: parts in, checked rows out. A run is counted before its callers get their answers."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from vouch.server.counting.statistics import BatchDone
from vouch.server.errors import DomainError, ModelFailed
from vouch.server.model.request import Model, Rows, Slice, Unusable, for_one_caller, no_answer


class Outcome(NamedTuple):
    """The result of one run. A tuple, because one is made in every run, and a tuple costs a third of a dataclass."""

    images: int
    rows: Rows
    unusable: Unusable
    failure: ModelFailed | None
    """Why there are no rows."""
    started_ns: int
    run_ns: int

    def why_none(self, rows: slice, start: int = 0) -> DomainError | None:
        """A caller's own error if it has no answer in these rows; None if it has one.

        Args:
            start: index of the first image within its request.
        """
        if self.failure is not None:
            return for_one_caller(self.failure)
        return no_answer(self.unusable, rows, start)


class Runs:
    """A model, and the callback for its runs."""

    def __init__(
        self, model: Model, on_batch: Callable[[BatchDone], None], unusable: Callable[[Rows], Unusable]
    ) -> None:
        self._model = model
        self._on_batch = on_batch
        self._unusable = unusable

    def __call__(self, parts: Sequence[np.ndarray]) -> Outcome:
        """One run over all these parts. Blocks; may be called from any thread."""
        images, started_ns = sum(map(len, parts)), time.perf_counter_ns()
        rows: Rows = ()
        unusable: Unusable = None
        failure: ModelFailed | None = None
        try:
            rows = self._model(parts)
            given = list(map(len, rows))
            if given != [images] * len(given):
                raise ModelFailed(f"the model answered {images} images with {given} rows")
            unusable = self._unusable(rows)
        except ModelFailed as err:
            failure = err
        except Exception as err:
            failure = ModelFailed(f"the model failed on {images} images")
            failure.__cause__ = err
        return Outcome(images, rows, unusable, failure, started_ns, time.perf_counter_ns() - started_ns)

    def end(self) -> None:
        """Releases the model; later runs fail."""
        self._model = _no_more

    def settle(self, batch: Sequence[Slice], outcome: Outcome) -> None:
        """Counts a run, then gives each request its rows, or its error."""
        answered_ns: list[int] = []
        failed_ns: list[int] = []
        settled, start = [], 0
        for part in batch:
            request, rows = part.request, slice(start, start := start + len(part.images))
            why = outcome.why_none(rows, part.start)
            settled.append((part, rows, why))
            if not request.answer.done() and (why is not None or request.is_filled_by(len(part.images))):
                (answered_ns if why is None else failed_ns).append(outcome.started_ns - request.submitted_ns)
        self.count(outcome, answered_ns, failed_ns)
        for part, rows, why in settled:
            if why is None:
                part.request.add(tuple([output[rows] for output in outcome.rows]), part.start)
            else:
                part.request.fail(why)

    def count(self, outcome: Outcome, answered_ns: Sequence[int], failed_ns: Sequence[int] = ()) -> None:
        """
        Args:
            answered_ns: how long each request waited that this run finished.
            failed_ns: how long each request waited that this run failed.
        """
        images, unusable, run_ns = outcome.images, outcome.unusable, outcome.run_ns
        if outcome.failure is not None:
            self._on_batch(BatchDone(images, tuple(failed_ns), run_ns, True))
        elif unusable is None:
            self._on_batch(BatchDone(images, tuple(answered_ns), run_ns))
        else:
            bad = int(unusable.sum())
            self._on_batch(BatchDone(images, tuple(answered_ns), run_ns, False, bad, tuple(failed_ns)))


def _no_more(_: Sequence[np.ndarray]) -> Rows:
    raise ModelFailed("this version is no longer served")
