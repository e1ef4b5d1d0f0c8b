from collections.abc import Sequence

import numpy as np
import pytest

from vouch.server.model.tuning import (
    COMPARED_IMAGES,
    HANDING_OVER_S,
    MAX_BLOCKING_S,
    WORTH_THREADS_S,
    inline_images,
    is_worth_threads,
)


class Model:
    """Takes so long for a run and so long for each image, on a clock of its own."""

    def __init__(self, a_run: float, an_image: float) -> None:
        self.now = 0.0
        self._a_run, self._an_image = a_run, an_image

    def run(self, parts: Sequence[np.ndarray]) -> None:
        self.now += self._a_run + sum(map(len, parts)) * self._an_image

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("a_run", "an_image", "expected"),
    [
        (8e-6, 0.5e-6, 14 * 256),  # a linear model: fourteen of the largest runs
        (MAX_BLOCKING_S / 1000, MAX_BLOCKING_S / 1000, 3 * 256),
        (MAX_BLOCKING_S / 100, MAX_BLOCKING_S / 100, 64),  # longer ones would hold up the loop
        (2 * HANDING_OVER_S, 1e-6, 0),  # worth waiting for others
        (0.0, 2 * MAX_BLOCKING_S, 0),
        (1.2 * HANDING_OVER_S, MAX_BLOCKING_S / 2, 0),  # worth it, though no larger batch could run on the loop
    ],
)
def test_what_is_cheap_by_itself_runs_inline(a_run: float, an_image: float, expected: int) -> None:
    """Requests for which neither a batch with others nor a thread would pay."""
    model = Model(a_run, an_image)

    assert inline_images(model.run, (4, 4), 256, model.clock) == expected


@pytest.mark.parametrize(("an_image", "expected"), [(20e-6, 64), (60e-6, 32), (150e-6, 8), (400e-6, 4)])
def test_sizes_that_take_too_long_are_none_wherever_timing_stops(an_image: float, expected: int) -> None:
    """Below, at or above the batch by which slow models are judged."""
    model = Model(0.0, an_image)

    assert inline_images(model.run, (4, 4), 1024, model.clock) == expected


def test_a_size_that_was_disturbed_throughout_does_not_decide_for_the_others() -> None:
    """A worker that starts while the machine is busy runs as fast as its neighbour afterwards."""
    model = Model(8e-6, 0.5e-6)

    def run(parts: Sequence[np.ndarray]) -> None:
        model.run(parts)
        model.now += 1.0 if len(parts[0]) == 1 else 0.0

    assert inline_images(run, (4, 4), 256, model.clock) == 14 * 256


def test_a_disturbed_run_does_not_count() -> None:
    """The machine is shared: the shortest of some runs is what the model takes."""
    model, calls = Model(0.0, MAX_BLOCKING_S / 100), iter(range(10_000))

    def run(parts: Sequence[np.ndarray]) -> None:
        model.run(parts)
        model.now += 1.0 if next(calls) % 5 else 0.0

    assert inline_images(run, (4, 4), 64, model.clock) == 64


def test_a_slow_model_is_not_measured_at_every_size() -> None:
    """Batches far above those that could run on the event loop would hold up a server's start."""
    model, sizes = Model(0.0, MAX_BLOCKING_S / 3), set[int]()

    def run(parts: Sequence[np.ndarray]) -> None:
        sizes.add(sum(map(len, parts)))
        model.run(parts)

    assert inline_images(run, (4, 4), 256, model.clock) == 2
    assert max(sizes) == COMPARED_IMAGES


@pytest.mark.parametrize(
    ("batch_s", "max_batch_size", "expected", "most"),
    [
        (1.1 * WORTH_THREADS_S, 256, True, COMPARED_IMAGES),
        (0.9 * WORTH_THREADS_S, 256, False, COMPARED_IMAGES),
        (1.1 * WORTH_THREADS_S, 8, False, 8),  # in batches of eight it is as fast
        (1.1 * COMPARED_IMAGES * WORTH_THREADS_S, 256, True, 1),  # one image says it
    ],
)
def test_a_model_is_worth_threads_where_a_batch_takes_long(
    batch_s: float, max_batch_size: int, expected: bool, most: int
) -> None:
    """And no more is run than it takes to find that out."""
    now, sizes = 0.0, list[int]()

    def run(parts: Sequence[np.ndarray]) -> None:
        nonlocal now
        sizes.append(sum(map(len, parts)))
        now += sizes[-1] * batch_s / COMPARED_IMAGES

    assert is_worth_threads(run, (4, 4), max_batch_size, lambda: now) is expected
    assert max(sizes) == most
